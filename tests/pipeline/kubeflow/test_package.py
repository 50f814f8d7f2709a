"""Compiled files: written, read back, and refused where they are something else."""

import json

import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.kubeflow import package as packages


def test_files_are_read_back_as_they_were_written(vertex, kubeflow, tmp_path):
    for package, name in ((vertex, "pipeline.json"), (kubeflow, "pipeline.yaml")):
        (tmp_path / name).write_text(package.text(), encoding="utf-8")
        assert packages.read(tmp_path / name) == package


def test_a_job_for_vertex_and_a_spec_for_kubeflow(vertex, kubeflow):
    job = json.loads(vertex.text())
    assert sorted(job) == ["displayName", "labels", "pipelineSpec", "runtimeConfig"]
    assert job["runtimeConfig"] == {"gcsOutputDirectory": "gs://bucket/taxi", "parameterValues": {"span": -1}}
    assert job["labels"] == {"tfx_runner": "kubeflow_v2", "tfx_version": "1-21-0"}
    assert yaml.safe_load(kubeflow.text())["defaultPipelineRoot"] == "gs://bucket/taxi"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.json", None, "cannot be read: No such file or directory. Make it: python kubeflow_runner.py compile."),
        ("half.json", '{"pipelineSpec": {', "not valid JSON"),
        ("other.json", "[]", "neither a PipelineJob (with `pipelineSpec`) nor a PipelineSpec"),
        ("other.yaml", "a: [", "not valid YAML"),
    ],
)
def test_another_file_is_refused(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)

    with pytest.raises(ConfigError) as caught:
        packages.read(tmp_path / name)

    assert message in str(caught.value)
