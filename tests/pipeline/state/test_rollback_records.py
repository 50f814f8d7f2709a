"""Rollbacks in ML Metadata and in rollbacks.jsonl, read back with ML Metadata's own client."""

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.state import rollback_records
from pipeline.state.metadata_store import open_store
from pipeline.state.rollback import roll_back
from pipeline.state.root import Root
from tests.helpers.versions import add


@pytest.fixture
def root(tmp_path):
    """A root with two pushed versions, the first of which ML Metadata knows as TFX leaves it."""
    root = Root(tmp_path)
    for number in (10, 20):
        add(root.serving("taxi"), number)
    store = open_store(root.metadata)
    pushed_type = store.put_artifact_type(mlmd.ArtifactType(name="PushedModel"))
    pushed = mlmd.Artifact(type_id=pushed_type, uri="/pushed")
    pushed.custom_properties["pushed_version"].string_value = "10"
    store.put_artifacts([pushed])
    context_type = store.put_context_type(mlmd.ContextType(name="pipeline"))
    store.put_contexts([mlmd.Context(type_id=context_type, name="taxi")])
    return root


def test_a_rollback_is_an_execution_from_the_pushed_model_to_a_new_one(root):
    made = roll_back(root.serving("taxi"), now=100)
    rollback_records.record_missing(root, "taxi", root.serving("taxi"))

    store = open_store(root.metadata)
    (execution,) = store.get_executions_by_type("pipeline.Rollback")
    first, second = store.get_artifacts_by_type("PushedModel")
    events = {event.artifact_id: event.type for event in store.get_events_by_execution_ids([execution.id])}
    assert execution.last_known_state == mlmd.Execution.COMPLETE
    assert execution.custom_properties["origin"].int_value == 10
    assert execution.custom_properties["instead_of"].int_value == 20
    assert events == {first.id: mlmd.Event.INPUT, second.id: mlmd.Event.OUTPUT}
    assert second.custom_properties["pushed_version"].string_value == "100"
    assert second.uri == str(made)
    assert [context.name for context in store.get_contexts_by_execution(execution.id)] == ["taxi"]
    assert rollback_records.read(root) == [
        {
            "version": 100,
            "origin": 10,
            "instead_of": 20,
            "undoes": None,
            "withdrawn_spans": [],
            "made_at": 100,
        }
    ]


def test_what_a_kill_left_unrecorded_is_recorded_once(root):
    roll_back(root.serving("taxi"), now=100)
    rollback_records.record_missing(root, "taxi", root.serving("taxi"))
    # Killed between the two records: ML Metadata has it, the file has a part of a line.
    root.rollbacks.write_text('{"version": 1')

    rollback_records.record_missing(root, "taxi", root.serving("taxi"))
    rollback_records.record_missing(root, "taxi", root.serving("taxi"))

    assert [line["version"] for line in rollback_records.read(root)] == [100]
    assert len(open_store(root.metadata).get_executions_by_type("pipeline.Rollback")) == 1


def test_on_a_store_that_knows_nothing_it_is_recorded_too(tmp_path):
    root = Root(tmp_path)
    for number in (10, 20):
        add(root.serving("taxi"), number)
    roll_back(root.serving("taxi"), now=100)

    rollback_records.record_missing(root, "taxi", root.serving("taxi"))

    (artifact,) = open_store(root.metadata).get_artifacts_by_type("PushedModel")
    assert artifact.custom_properties["origin"].int_value == 10


@pytest.mark.parametrize("line", ['{"version": 5}', "{}", '{"version": 100, "origin": "ten"}'])
def test_a_line_of_another_layout_records_no_rollback(root, line):
    root.rollbacks.write_text(line + "\n")
    roll_back(root.serving("taxi"), now=100)

    rollback_records.record_missing(root, "taxi", root.serving("taxi"))

    assert [record["version"] for record in rollback_records.read(root)] == [100]
