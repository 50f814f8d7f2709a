"""Resolvers' queries, as TFX's compiler writes them."""

import pytest

from pipeline.kubeflow.rehearse import filters
from pipeline.kubeflow.rehearse.errors import TaskError

BLESSING = {"name": "n/1", "uri": "/b", "metadata": {"blessed": 1, "current_model_id": "n/0"}}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('schema_title="tfx.ModelBlessing" AND state=LIVE', True),
        ('schema_title="tfx.Model" AND state=LIVE', False),
        ('schema_title="tfx.ModelBlessing" AND state=LIVE AND metadata.blessed.number_value=1', True),
        ("metadata.blessed.number_value=0", False),
        ("metadata.auc.number_value=1", False),
        ('name="n/1"', True),
        ('metadata.current_model_id.string_value="n/0"', True),
    ],
)
def test_queries_are_answered(query, expected):
    assert filters.matches(query, "tfx.ModelBlessing", BLESSING) is expected


def test_more_of_the_syntax_than_is_known_is_an_error():
    with pytest.raises(TaskError, match="is not one that the rehearsal can answer"):
        filters.matches('create_time > "2024-01-01"', "tfx.Model", BLESSING)
