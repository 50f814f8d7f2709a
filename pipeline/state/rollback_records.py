"""Records rollbacks in ML Metadata and in `rollbacks.jsonl`.

The version itself is the truth, and carries its own record; here it is copied to where one looks for history. A command
that was killed between the rename and the records leaves a version without them, so every rollback and every run first
records what is missing.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.json_values import from_json_values
from pipeline.state import journal
from pipeline.state.metadata_store import open_store
from pipeline.state.root import Root
from pipeline.state.version_folder import Rollback, pushed_versions, read_rollback

EXECUTION_TYPE = "pipeline.Rollback"


def record_missing(root: Root, pipeline_name: str, serving_dir: Path) -> None:
    """Records every rollback among the pushed versions that is not recorded yet. The caller holds the root's lock."""
    recorded = {line["version"] for line in read(root)}
    for number in pushed_versions(serving_dir):
        rollback = read_rollback(serving_dir / str(number))
        if rollback is not None and number not in recorded:
            _record_metadata(root.metadata, pipeline_name, serving_dir / str(number), rollback)
            journal.append(root.rollbacks, {"version": number, **asdict(rollback)})


def read(root: Root) -> list[dict[str, Any]]:  # Any: JSON.
    """Returns every recorded rollback, oldest first."""
    return journal.read(root.rollbacks, _read_line)


def _read_line(line: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON.
    from_json_values(Rollback, {name: value for name, value in line.items() if name != "version"})
    return {**line, "version": int(line["version"])}


def _record_metadata(path: Path, pipeline_name: str, version_dir: Path, rollback: Rollback) -> None:
    """Adds an execution from the PushedModel that is live again to a new PushedModel; once, however often called."""
    from ml_metadata import errors
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    store = open_store(path)
    pushed_type = store.put_artifact_type(
        mlmd.ArtifactType(name="PushedModel"), can_add_fields=True, can_omit_fields=True
    )
    execution = mlmd.Execution(
        type_id=store.put_execution_type(mlmd.ExecutionType(name=EXECUTION_TYPE)),
        name=f"rollback-{version_dir.name}",
        last_known_state=mlmd.Execution.COMPLETE,
    )
    output = mlmd.Artifact(type_id=pushed_type, uri=str(version_dir), state=mlmd.Artifact.LIVE)
    output.custom_properties["pushed"].int_value = 1
    output.custom_properties["pushed_version"].string_value = version_dir.name
    output.custom_properties["pushed_destination"].string_value = str(version_dir)
    for properties in (execution.custom_properties, output.custom_properties):
        properties["origin"].int_value = rollback.origin
        properties["instead_of"].int_value = rollback.instead_of
        if rollback.undoes is not None:
            properties["undoes"].int_value = rollback.undoes
    used = [
        (artifact, mlmd.Event(type=mlmd.Event.INPUT, path=_path("pushed_model")))
        for artifact in store.get_artifacts_by_type("PushedModel")
        if artifact.custom_properties["pushed_version"].string_value == str(rollback.origin)
    ]
    made = (output, mlmd.Event(type=mlmd.Event.OUTPUT, path=_path("pushed_model")))
    context = store.get_context_by_type_and_name("pipeline", pipeline_name)
    try:
        store.put_execution(execution, [*used, made], [context] if context else [])
    except errors.AlreadyExistsError:
        # Killed after this and before the line in rollbacks.jsonl.
        return


def _path(key: str) -> Any:  # Any: ml_metadata is untyped.
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    step = mlmd.Event.Path.Step
    return mlmd.Event.Path(steps=[step(key=key), step(index=0)])
