"""The Tuner: TFX's own, which hears the gate before it searches.

Its `best_hyperparameters` hold what the gate tells the Trainer besides, such as whether to begin with the live model's
weights. Where the gate only recalibrates, nothing is searched.
"""

import json
import os
from typing import Any, ClassVar

from keras_tuner.errors import FatalError
from tfx.components.tuner import executor as stock
from tfx.components.tuner.component import Tuner as StockTuner
from tfx.dsl.components.base import executor_spec
from tfx.proto import trainer_pb2
from tfx.types import Artifact, BaseChannel, Channel, artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import io_utils, json_utils

from pipeline.selection import trials, tuner

ExecProperties = dict[str, Any]  # TFX's own type.
Artifacts = dict[str, list[Artifact]]

GATE = "hyperparameters"
BEST, RESULTS = "best_hyperparameters", "tuner_results"
_FILES = {BEST: "best_hyperparameters.txt", RESULTS: "tuner_results.json"}


class TunerSpec(standard_component_specs.TunerSpec):
    """The standard spec and one more input: what the gate tells the Trainer."""

    INPUTS: ClassVar[dict[str, ChannelParameter]] = {
        **standard_component_specs.TunerSpec.INPUTS,
        GATE: ChannelParameter(type=standard_artifacts.HyperParameters),
    }


class Executor(stock.Executor):
    """The stock executor's search and files, and the search in full beside them."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Searches, unless the gate wants no training."""
        uri = artifact_utils.get_single_uri(input_dict[GATE])
        told = json.loads(io_utils.read_string_file(io_utils.get_only_uri_in_dir(uri)))
        best, results = (
            os.path.join(artifact_utils.get_single_uri(output_dict[name]), _FILES[name]) for name in (BEST, RESULTS)
        )
        if told.get("recalibrate"):
            io_utils.write_string_file(best, json.dumps(told))
            io_utils.write_string_file(results, "[]")
            return
        try:
            search = stock.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
        except FatalError as error:
            raise error.__cause__ or error from error
        stock.write_best_hyperparameters(search, output_dict)
        found = json.loads(io_utils.read_string_file(best))
        io_utils.write_string_file(best, json.dumps({**found, **told}))
        io_utils.write_string_file(os.path.join(os.path.dirname(results), trials.FILE), search.tuning.to_json())
        tuner.forget(search)


class Tuner(StockTuner):
    """TFX's Tuner, with the gate's word as an input."""

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        schema: BaseChannel,
        transform_graph: BaseChannel,
        hyperparameters: BaseChannel,
        custom_config: dict[str, Any],  # Any: JSON.
    ) -> None:
        """Takes what the stock Tuner takes, and the gate's hyperparameters."""
        super(StockTuner, self).__init__(
            spec=TunerSpec(
                examples=examples,
                schema=schema,
                transform_graph=transform_graph,
                hyperparameters=hyperparameters,
                tuner_fn=f"{tuner.__name__}.{tuner.tuner_fn.__name__}",
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                # No search reads the eval split: it belongs to the Evaluator. TFX wants one named.
                eval_args=trainer_pb2.EvalArgs(splits=["train"]),
                custom_config=json_utils.dumps(custom_config),
                best_hyperparameters=Channel(type=standard_artifacts.HyperParameters),
                tuner_results=Channel(type=standard_artifacts.TunerResults),
            )
        )
