"""What `[vertex]` of a dataset file moves to Vertex's own services, with TFX's Google Cloud extensions.

The extensions load Google's clients, so nothing of them is imported unless the table asks for it.
"""

from typing import Any

from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_component import BaseComponent

from pipeline.config.pipeline_config import PipelineConfig


def trainer(config: PipelineConfig, *, custom_config: dict[str, Any], **arguments: Any) -> Trainer:  # Any: Trainer's.
    """Returns the Trainer: in the task's own container, or as a custom job on the machine that `[vertex]` names."""
    vertex = config.vertex
    if vertex is None or not vertex.machine_type:
        return Trainer(custom_config=custom_config, **arguments)
    from tfx.extensions.google_cloud_ai_platform import constants
    from tfx.extensions.google_cloud_ai_platform.trainer import component, executor

    machine: dict[str, Any] = {"machine_type": vertex.machine_type}  # Any: a MachineSpec in JSON.
    if vertex.accelerator_type:
        machine |= {"accelerator_type": vertex.accelerator_type, "accelerator_count": vertex.accelerator_count}
    job = {
        "display_name": f"{config.dataset.name}-trainer",
        "job_spec": {
            "worker_pool_specs": [
                {"machine_spec": machine, "replica_count": 1, "container_spec": {"image_uri": config.image}}
            ]
        },
        "project": vertex.project,
    }
    if vertex.service_account:
        job["job_spec"]["service_account"] = vertex.service_account  # type: ignore[index]  # A dict of dicts.
    cloud = {
        constants.ENABLE_VERTEX_KEY: True,
        constants.VERTEX_REGION_KEY: vertex.region,
        executor.TRAINING_ARGS_KEY: job,
    }
    return component.Trainer(custom_config={**custom_config, **cloud}, **arguments)


def endpoint_pushers(config: PipelineConfig, *, after: BaseComponent, **channels: Any) -> list[BaseComponent]:
    """Returns the component that deploys a pushed model to `[vertex]`'s endpoint; none where it names none.

    Args:
      after: the Pusher to the served folder. That one comes first: the folder is where the gate looks for the live
        model, and a deployment that fails is tried again.
    """
    vertex = config.vertex
    if vertex is None or not vertex.endpoint:
        return []
    from tfx.extensions.google_cloud_ai_platform import constants
    from tfx.extensions.google_cloud_ai_platform.pusher import component

    pusher = component.Pusher(
        **channels,
        custom_config={
            constants.ENABLE_VERTEX_KEY: True,
            constants.VERTEX_REGION_KEY: vertex.region,
            constants.VERTEX_CONTAINER_IMAGE_URI_KEY: vertex.serving_image,
            constants.SERVING_ARGS_KEY: {
                "project": vertex.project,
                "endpoint_name": vertex.endpoint,
                "machine_type": vertex.endpoint_machine_type,
            },
        },
    ).with_id("EndpointPusher")
    pusher.add_upstream_node(after)
    return [pusher]
