"""Pushes a blessed model so that a server sees the whole version or nothing."""

import time
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx.components.pusher import component as stock
from tfx.components.pusher import executor as stock_executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import Artifact, artifact_utils

from pipeline import files
from pipeline.state.publish import push


class Executor(stock_executor.Executor):
    """TFX's Pusher, but for local folders: the stock one copies file by file into the served folder."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],  # Any: TFX's own signature.
    ) -> None:
        destination = json_format.Parse(exec_properties["push_destination"], pusher_pb2.PushDestination())
        base = destination.filesystem.base_directory
        if "://" in base:
            # Object stores have no rename; the stock order (saved_model.pb last) is the best there is.
            super().Do(input_dict, output_dict, exec_properties)
            return
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        model_path = self.GetModelPath(input_dict)
        files.link_tree(model_path, pushed_model.uri)
        version = push(Path(model_path), Path(base), int(time.time()))
        self._MarkPushed(pushed_model, pushed_destination=str(version), pushed_version=version.name)


class Pusher(stock.Pusher):
    """The standard Pusher with the executor above."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
