"""Compiles the one pipeline definition for a backend, through TFX's KubeflowV2DagRunner with specification 2.1.

What TFX leaves out is added to its result, for every task by the same rules: defaults of run-time parameters, retries,
and what may come from the cache. See docs/decisions/0600-what-a-compiled-task-may-rely-on.md.
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.components import nodes
from pipeline.config.dataset import Dataset
from pipeline.config.pipeline_config import SPAN_PARAMETER, PipelineConfig
from pipeline.errors import ConfigError
from pipeline.kubeflow.package import Json, Package, Target

# As pipeline.components.example_gen has it; importing that would load TFX before the arguments are checked.
NEWEST = -1

# Read or write at run time what is not among their inputs and outputs: the served folder and the span records. Cached,
# they would answer of an earlier day. What depends on them gets new artifacts and so runs anew too.
TOUCHES_STATE = (nodes.LIVE_MODEL, nodes.RERUN_GATE, nodes.RECORD_OUTCOME)
# Finds its span's files itself. Vertex asks a driver for their fingerprint first; Kubeflow's backend runs none.
READS_SPAN = nodes.EXAMPLE_GEN

# A machine that is taken away is the usual reason to fail, and every task may be run again.
RETRY_POLICY = {"maxRetryCount": 2, "backoffDuration": "60s", "backoffFactor": 2.0, "backoffMaxDuration": "600s"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be compiled.

    Attributes:
      data_root, pipeline_root, serving_dir, state_dir: local paths, or `gs://` ones.
      image: the container image that every task runs in.
      span: the span parameter's value in the file; None for the newest at run time.
      engine, beam_args: as in PipelineConfig.
    """

    dataset: Dataset
    target: Target
    data_root: str
    pipeline_root: str
    serving_dir: str
    state_dir: str
    image: str
    span: int | None = None
    engine: Literal["local", "beam"] = "local"
    beam_args: tuple[str, ...] = ()


def compile_pipeline(request: Request) -> Package:
    """Returns the compiled pipeline.

    Raises:
      ConfigError: TFX's compiler refuses the pipeline.
    """
    # Imported here: this loads TFX.
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as tfx_runner

    from pipeline.pipeline import create_pipeline

    pipeline = create_pipeline(pipeline_config(request))
    _forget_keys(pipeline)
    runner = tfx_runner.KubeflowV2DagRunner(
        tfx_runner.KubeflowV2DagRunnerConfig(default_image=request.image, use_pipeline_spec_2_1=True)
    )
    try:
        job = runner.run(pipeline, write_out=False)
    except (ValueError, TypeError, NotImplementedError, KeyError) as error:
        raise ConfigError(f"TFX's compiler refuses the pipeline of {request.dataset.name!r}: {error}") from error
    return _finish(job, request)


def _forget_keys(pipeline: Any) -> None:  # Any: TFX's Pipeline.
    """Lets the compiler name the inputs of conditions.

    A placeholder is made with a name and loses it when it is first compiled. The first task behind a condition would
    therefore read an input that it knows under another name.
    """
    from tfx.dsl.experimental.conditionals import conditional
    from tfx.types.channel import ChannelWrappedPlaceholder

    for component in pipeline.components:
        for predicate in conditional.get_predicates(component, pipeline.dsl_context_registry):
            for part in predicate.traverse():
                if isinstance(part, ChannelWrappedPlaceholder):
                    part.set_key(None)


def pipeline_config(request: Request) -> PipelineConfig:
    """Returns the pipeline's configuration: the span is open, and the gate finds the state itself."""
    return PipelineConfig(
        dataset=request.dataset,
        data_root=request.data_root,
        span=SPAN_PARAMETER,
        pipeline_root=request.pipeline_root,
        serving_dir=request.serving_dir,
        state_dir=request.state_dir,
        vertex=request.dataset.vertex if request.target == "vertex" else None,
        image=request.image,
        engine=request.engine,
        beam_args=request.beam_args,
    )


def _finish(job: Json, request: Request) -> Package:
    spec = copy.deepcopy(job["pipelineSpec"])
    span = NEWEST if request.span is None else request.span
    spec["root"]["inputDefinitions"]["parameters"][SPAN_PARAMETER] = {
        "parameterType": "NUMBER_INTEGER",
        "isOptional": True,
        "defaultValue": span,
        "description": f"The span to process; {NEWEST} for the newest there is.",
    }
    for name, task in spec["root"]["dag"]["tasks"].items():
        if name in TOUCHES_STATE or (name == READS_SPAN and request.target == "kubeflow"):
            task.pop("cachingOptions", None)
        if name != nodes.REFUSE_SPAN:  # It fails on purpose: a second try would only repeat it.
            task["retryPolicy"] = dict(RETRY_POLICY)
    _settle_driver(spec, request.target)
    if request.target == "kubeflow":
        spec["defaultPipelineRoot"] = request.pipeline_root
        return Package(target="kubeflow", spec=spec, root=request.pipeline_root)
    # TFX also labels the job with this Python's version, which no task runs under.
    labels = {name: value for name, value in job["labels"].items() if name != "tfx_py_version"}
    return Package(
        target="vertex",
        spec=spec,
        root=request.pipeline_root,
        parameters={SPAN_PARAMETER: span},
        display_name=job["displayName"],
        labels=labels,
    )


def _settle_driver(spec: Json, target: Target) -> None:
    """Vertex gets a driver that knows the span parameter; Kubeflow's backend ignores drivers, so none is named."""
    for executor in spec["deploymentSpec"]["executors"].values():
        container: dict[str, Any] = executor.get("container", {})  # Any: JSON.
        if "lifecycle" not in container:
            continue
        if target == "kubeflow":
            del container["lifecycle"]
        else:
            container["lifecycle"]["preCacheCheck"]["command"] = [
                "python",
                "-m",
                "pipeline.kubeflow.example_gen_driver",
            ]
