"""Placeholders of a container's command, by the specification."""

import json

import pytest

from pipeline.kubeflow.rehearse import placeholders
from pipeline.kubeflow.rehearse.errors import TaskError

GIVEN = {
    "inputs": {
        "parameterValues": {"span": 7, "name": "taxi"},
        "artifacts": {"model": {"artifacts": [{"uri": "/m", "metadata": {"version": "3"}}]}},
    },
    "outputs": {
        "artifacts": {"examples": {"artifacts": [{"uri": "/e"}]}},
        "parameters": {"answer": {"outputFile": "/a.txt"}},
        "outputFile": "/o.json",
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain {text}", "plain {text}"),
        ("--span={{$.inputs.parameters['span']}}", "--span=7"),
        ("{{$.inputs.parameters['name']}}-{{$.inputs.artifacts['model'].uri}}", "taxi-/m"),
        ("{{$.inputs.artifacts['model'].metadata['version']}}", "3"),
        ("{{$.outputs.artifacts['examples'].uri}}", "/e"),
        ("{{$.outputs.parameters['answer'].output_file}}", "/a.txt"),
        ("{{$.outputs.output_file}}", "/o.json"),
    ],
)
def test_parts_are_filled_in(text, expected):
    assert placeholders.fill(text, GIVEN) == expected


def test_the_whole_input_is_json():
    assert json.loads(placeholders.fill("{{$}}", GIVEN)) == GIVEN


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{$.inputs.parameters['epochs']}}", "asks for what the task does not have"),
        ("{{$.inputs.artifacts['model'].metadata['auc']}}", "asks for what the task does not have"),
        ("{{$.pipeline.root}}", "is not one that the specification knows"),
    ],
)
def test_what_the_backend_could_not_fill_in_is_an_error(text, why):
    with pytest.raises(TaskError, match=why):
        placeholders.fill(text, GIVEN)
