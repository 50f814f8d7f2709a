"""Runs a TFX pipeline in this process, node by node, and tells what each node did.

This is TFX's LocalDagRunner with its loop opened: the same launcher, the same metadata, but the caller hears
when a node starts and ends, and learns whether it ran, came from the cache or was skipped by a condition.
"""

import ctypes
import datetime
import logging
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.types import Artifact

from pipeline.errors import PipelineError
from pipeline.runs.metadata import ENDED_AS, ERROR, PEAK_MEMORY_BYTES, WALL_SECONDS
from pipeline.runs.outcome import result_of_error

logger = logging.getLogger(__name__)

_LONGEST_ERROR = 2000

Status = Literal["ran", "cached", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class NodeResult:
    """What one node did.

    Attributes:
      seconds: wall time.
      peak_memory_bytes: the process's peak resident set when the node ended; it never falls.
      outputs: the artifacts the node published, or took from the cache, by output name.
    """

    node: str
    status: Status
    seconds: float
    peak_memory_bytes: int
    outputs: Mapping[str, list[Artifact]] = field(default_factory=dict)


def run(
    pipeline: tfx_pipeline.Pipeline,
    *,
    on_start: Callable[[str], None],
    on_end: Callable[[NodeResult], None],
    run_id: str | None = None,
) -> list[NodeResult]:
    """Runs every node in topological order.

    Args:
      on_start: told a node's id before it is launched.
      on_end: told its result, also of a failed node, before the error goes on.
      run_id: the run's name in ML Metadata; None for its start in local time.

    Returns:
      One result per node, in order.

    Raises:
      Exception: whatever a node's driver or executor raised; nothing downstream has run.
    """
    ir = compiler.Compiler().compile(pipeline)
    run_id = run_id or datetime.datetime.now().isoformat()
    runtime_parameter_utils.substitute_runtime_parameter(ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    deployment = runner_utils.extract_local_deployment_config(ir)
    connection_name = deployment.metadata_connection_config.WhichOneof("connection_config")
    connection = getattr(deployment.metadata_connection_config, connection_name)
    results = []
    for wrapped in ir.nodes:
        node = wrapped.pipeline_node
        node_id = node.node_info.id
        on_start(node_id)
        started = time.monotonic()
        status: Status = "failed"
        outputs: Mapping[str, list[Artifact]] = {}
        try:
            info = launcher.Launcher(
                pipeline_node=node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=ir.pipeline_info,
                pipeline_runtime_spec=ir.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
            ).launch()
            status, outputs = _published(
                node_id, info.execution_id if info else None, connection, time.monotonic() - started
            )
        except (Exception, KeyboardInterrupt) as error:
            _record_failure(run_id, error, time.monotonic() - started, connection)
            raise
        finally:
            result = NodeResult(
                node=node_id,
                status=status,
                seconds=time.monotonic() - started,
                peak_memory_bytes=peak_memory_bytes(),
                outputs=outputs,
            )
            results.append(result)
            on_end(result)
            _release_memory()
    return results


def peak_memory_bytes() -> int:
    """Returns the largest resident set that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _release_memory() -> None:
    """Gives back what a node has freed: Arrow and the C library keep it otherwise, and the nodes' peaks add up."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # The GNU C library's.
    if trim is not None:
        trim(0)


def _published(
    node_id: str, execution_id: int | None, connection: metadata_store_pb2.ConnectionConfig, seconds: float
) -> tuple[Status, Mapping[str, list[Artifact]]]:
    """Returns what ML Metadata holds of an execution, after adding what it cost.

    Raises:
      PipelineError: the node's inputs could not be resolved; the launcher records that and returns as if all were well.
    """
    if execution_id is None:
        return "skipped", {}
    with metadata.Metadata(connection) as handle:
        (execution,) = handle.store.get_executions_by_id([execution_id])
        if execution.last_known_state == metadata_store_pb2.Execution.FAILED:
            reason = execution.custom_properties["__execution_result__"].string_value
            raise PipelineError(f"{node_id} could not start: its inputs were not found. {reason[-400:]}")
        _add_cost(execution, seconds)
        handle.store.put_executions([execution])
        cached = execution.last_known_state == metadata_store_pb2.Execution.CACHED
        return "cached" if cached else "ran", execution_lib.get_output_artifacts(handle, execution_id)


def _add_cost(execution: metadata_store_pb2.Execution, seconds: float) -> None:
    """Kept with the execution, so that a report can be made from the metadata at any later time."""
    execution.custom_properties[WALL_SECONDS].double_value = seconds
    execution.custom_properties[PEAK_MEMORY_BYTES].int_value = peak_memory_bytes()


def _record_failure(
    run_id: str, error: BaseException, seconds: float, connection: metadata_store_pb2.ConnectionConfig
) -> None:
    """Adds to the execution that broke off what it cost and what it said, which TFX records nowhere but in the log.

    One that was interrupted stays in state RUNNING; the next run finds it so and removes what it has left.
    """
    broken = (metadata_store_pb2.Execution.FAILED, metadata_store_pb2.Execution.RUNNING)
    try:
        with metadata.Metadata(connection) as handle:
            run = handle.store.get_context_by_type_and_name(constants.PIPELINE_RUN_CONTEXT_TYPE_NAME, run_id)
            executions = handle.store.get_executions_by_context(run.id) if run else []
            newest = max(executions, key=lambda execution: execution.id, default=None)
            if newest is not None and newest.last_known_state in broken:
                _add_cost(newest, seconds)
                newest.custom_properties[ENDED_AS].string_value = result_of_error(error).value
                newest.custom_properties[ERROR].string_value = str(error)[:_LONGEST_ERROR]
                handle.store.put_executions([newest])
    except Exception:
        logger.warning("The failure could not be recorded.", exc_info=True)
