"""One run as ML Metadata remembers it: which nodes ran, at what cost, and which artifacts went in and out.

Reads the store alone. TFX is not imported: a report must be made in a second or two, also long after the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.components import nodes
from pipeline.errors import ReportError

WALL_SECONDS = "wall_seconds"
PEAK_MEMORY_BYTES = "peak_memory_bytes"
ERROR = "error"
ENDED_AS = "ended_as"
"""Custom properties of an execution, as pipeline/runs/node_runner.py records them."""

Status = Literal["ran", "cached", "failed", "unfinished"]
Value = str | int | float

_ARTIFACTS = "/artifacts/"


@dataclass(frozen=True, kw_only=True)
class ArtifactRecord:
    """An artifact: its number in the store, its type, its folder, and its properties of both kinds.

    Attributes:
      deleted: retention has removed its files.
    """

    id: int
    type: str
    path: Path
    properties: Mapping[str, Value]
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class NodeRecord:
    """One component in one run.

    Attributes:
      started_at: seconds since 1970.
      seconds: wall time; between the store's own two times where the runner recorded none.
      peak_memory_bytes: the process's peak when the node ended; None where the runner recorded none.
      properties: execution properties and custom properties.
      error: what a failed node said.
    """

    node: str
    execution_id: int
    status: Status
    started_at: float
    seconds: float
    peak_memory_bytes: int | None
    properties: Mapping[str, Value]
    inputs: Mapping[str, tuple[ArtifactRecord, ...]]
    outputs: Mapping[str, tuple[ArtifactRecord, ...]]
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run of the pipeline: `run_id` is its start in local time, as ISO 8601; nodes in the order of execution."""

    pipeline: str
    run_id: str
    nodes: tuple[NodeRecord, ...]

    def node(self, name: str) -> NodeRecord | None:
        """Returns a node that has an execution in this run."""
        return next((node for node in self.nodes if node.node == name), None)

    def output(self, name: str, key: str) -> ArtifactRecord | None:
        """Returns the artifact that a node published, or took from the cache."""
        node = self.node(name)
        return node.outputs[key][0] if node and node.outputs.get(key) else None

    @property
    def span(self) -> int | None:
        """The span that was processed; of a span that could not be read, the one that was asked for."""
        examples, node = self.output(nodes.EXAMPLE_GEN, "examples"), self.node(nodes.EXAMPLE_GEN)
        for properties in (examples.properties if examples else {}, node.properties if node else {}):
            if "span" in properties:
                return int(properties["span"])
        try:
            asked = json.loads(str(node.properties["range_config"])) if node else {}
            return int(asked["static_range"]["end_span_number"])
        except (ValueError, LookupError, TypeError):
            return None


class Store:
    """A run root's ML Metadata, opened to read.

    Raises:
      ReportError: there is none.
    """

    def __init__(self, path: Path, artifacts: Path) -> None:
        """Args:
        path: the SQLite file.
        artifacts: the root's folder of artifacts: where they are looked for should the root have been moved.
        """
        if not path.is_file():
            raise ReportError(f"{path} does not exist, so nothing has run here.")
        from ml_metadata.metadata_store import metadata_store
        from ml_metadata.proto import metadata_store_pb2 as proto

        config = proto.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READONLY
        self._store = metadata_store.MetadataStore(config)
        self._proto = proto
        self._root = artifacts

    def run_ids(self) -> list[str]:
        """Returns the ids of all runs, the newest first: by their numbers, since a clock may be set back."""
        runs = self._store.get_contexts_by_type("pipeline_run")
        return [run.name for run in sorted(runs, key=lambda run: run.id, reverse=True)]

    def runs(self) -> Iterator[RunRecord]:
        """Yields the runs in which anything was executed, the newest first."""
        for run_id in self.run_ids():
            run = self.read(run_id)
            if run.nodes:
                yield run

    def read(self, run_id: str) -> RunRecord:
        """Reads one run."""
        context = self._store.get_context_by_type_and_name("pipeline_run", run_id)
        if context is None:
            raise ReportError(f"The metadata holds no run {run_id!r}.")
        executions = sorted(self._store.get_executions_by_context(context.id), key=lambda item: item.id)
        events = self._store.get_events_by_execution_ids([execution.id for execution in executions])
        found = self._artifacts({event.artifact_id for event in events})
        nodes = []
        pipeline = ""
        for execution in executions:
            name = self._node_of(execution.id)
            pipeline, _, node = name.rpartition(".")
            nodes.append(self._node(node, execution, [e for e in events if e.execution_id == execution.id], found))
        return RunRecord(pipeline=pipeline, run_id=run_id, nodes=tuple(nodes))

    def _node_of(self, execution_id: int) -> str:
        contexts = self._store.get_contexts_by_execution(execution_id)
        return next(str(context.name) for context in contexts if context.type == "node")

    def _artifacts(self, ids: set[int]) -> dict[int, ArtifactRecord]:
        return {
            artifact.id: ArtifactRecord(
                id=artifact.id,
                type=artifact.type,
                path=self._path(artifact.uri),
                properties=_values(artifact.properties) | _values(artifact.custom_properties),
                deleted=artifact.state == self._proto.Artifact.DELETED,
            )
            for artifact in self._store.get_artifacts_by_id(sorted(ids))
        }

    def _path(self, uri: str) -> Path:
        """The store holds absolute paths; a root that was moved, or copied from another machine, is still readable."""
        path = Path(uri)
        if not path.exists() and _ARTIFACTS in uri:
            moved = self._root / uri.rpartition(_ARTIFACTS)[2]
            return moved if moved.exists() else path
        return path

    def _node(
        self, node: str, execution: Any, events: Sequence[Any], artifacts: Mapping[int, ArtifactRecord]
    ) -> NodeRecord:  # Any: ML Metadata's messages.
        kinds = self._proto.Event
        properties = _values(execution.properties) | _values(execution.custom_properties)
        elapsed = (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000
        states: dict[int, Status] = {
            self._proto.Execution.COMPLETE: "ran",
            self._proto.Execution.CACHED: "cached",
            self._proto.Execution.FAILED: "failed",
        }
        memory = properties.get(PEAK_MEMORY_BYTES)
        return NodeRecord(
            node=node,
            execution_id=execution.id,
            status=states.get(execution.last_known_state, "unfinished"),
            started_at=execution.create_time_since_epoch / 1000,
            seconds=float(properties.get(WALL_SECONDS, elapsed)),
            peak_memory_bytes=None if memory is None else int(memory),
            properties=properties,
            inputs=_by_key(events, artifacts, {kinds.INPUT, kinds.DECLARED_INPUT}),
            outputs=_by_key(events, artifacts, {kinds.OUTPUT, kinds.DECLARED_OUTPUT}),
            error=str(properties.get(ERROR, "")),
        )


def _by_key(
    events: Sequence[Any], artifacts: Mapping[int, ArtifactRecord], kinds: set[int]
) -> dict[str, tuple[ArtifactRecord, ...]]:
    found: dict[str, tuple[ArtifactRecord, ...]] = {}
    for event in events:
        if event.type in kinds and event.path.steps:
            key = event.path.steps[0].key
            found[key] = (*found.get(key, ()), artifacts[event.artifact_id])
    return found


def _values(properties: Mapping[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, value in properties.items():
        kind = value.WhichOneof("value")
        if kind in ("string_value", "int_value", "double_value"):
            found[name] = getattr(value, kind)
    return found
