"""The Evaluator of both engines: metrics from whole arrays, or TFMA on Beam; one judgement.

The input `baseline_model` is always connected. Where its `present` is 0 no model is live, and there is no baseline.
"""

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as stock
from tfx.dsl.components.base import base_beam_component, base_executor, executor_spec
from tfx.types import (
    Artifact,
    BaseChannel,
    Channel,
    artifact_utils,
    standard_artifacts,
    standard_component_specs,
)
from tfx.types.component_spec import ExecutionParameter
from tfx.utils import io_utils, json_utils, path_utils

from columnar import examples as example_files
from models import thresholds
from models.foreign_signature import signature_of
from models.predictor import predictor_of
from models.target import Target, is_known
from pipeline.components.beam_reads import spread_reads
from pipeline.evaluation import curves, judge, metrics, tfma_config, tfma_files
from pipeline.evaluation.bar import Bar
from pipeline.evaluation.curves import ModelCurves
from pipeline.evaluation.judge import OVERALL, Judgement
from pipeline.evaluation.metrics import Metric, Sample, SliceKey
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.evaluation.tfma_config import BASELINE, CANDIDATE
from pipeline.gate.settings import EvaluatorSettings
from pipeline.selection import must_beat
from pipeline.selection.fold_rows import learnable

Artifacts = dict[str, list[Artifact]]
ExecProperties = dict[str, Any]  # TFX's own type.
Results = dict[str, dict[SliceKey, dict[str, Metric]]]

SETTINGS = "settings"


def evaluate(
    table: pa.Table, target: Target, models: Mapping[str, str], spec: EvaluationSpec
) -> tuple[Results, dict[str, ModelCurves]]:
    """Scores models on the same rows and measures them, overall and per slice.

    Args:
      table: flat columns; rows without a label are left out.
      target: what the candidate predicts.
      models: TFMA's model name to the SavedModel's folder.

    Returns:
      Model name to slice to metrics, and model name to what is drawn of it; neither where no row has a label.
    """
    columns = {name: table.column(name) for name in target.columns}
    labels, weights = np.asarray(target.evaluate(columns)), np.asarray(target.weights(columns))
    labelled = is_known(labels)
    table = table.filter(pa.array(labelled))
    results: Results = {name: {} for name in models}
    if not table.num_rows:
        return results, {}
    predictors = {name: predictor_of(folder) for name, folder in models.items()}
    whole = Sample(
        labels=labels[labelled].astype(np.float64),
        predictions={name: one.predict(table).astype(np.float64) for name, one in predictors.items()},
        weights=weights[labelled],
        thresholds={name: one.thresholds for name, one in predictors.items()},
    )
    columns = {name: table.column(name) for name in spec.slice_columns}
    parts = [(key, rows) for crossed in spec.slices for key, rows in metrics.slices(columns, crossed)]
    for key, sample in ((OVERALL, whole), *((key, whole.part(rows)) for key, rows in parts)):
        for model, values in metrics.measure(sample, target, spec.bootstraps, spec.seed).items():
            results[model][key] = values
    return results, {name: curves.draw(target, whole, name, results[name][OVERALL]) for name in models}


class EvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """The standard spec and one more parameter: what the dataset file says of features, label and thresholds."""

    PARAMETERS: ClassVar[dict[str, ExecutionParameter]] = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        SETTINGS: ExecutionParameter(type=str),
    }


class LocalExecutor(base_executor.BaseExecutor):
    """Evaluates whole splits in memory and writes TFMA's files."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Writes the evaluation and, where the judgement allows, the blessing."""
        inputs = _without_absent_baseline(input_dict)
        settings = EvaluatorSettings.from_json(exec_properties[SETTINGS])
        spec = settings.evaluation
        has_baseline = bool(inputs.get("baseline_model"))
        config = tfma.utils.update_eval_config_with_defaults(
            json_format.Parse(_at_own_thresholds(exec_properties["eval_config"], inputs), tfma.EvalConfig()),
            has_baseline=has_baseline,
            rubber_stamp=True,
        )
        names = [model.name for model in config.model_specs]
        folders = [_model_dir(inputs["model"]), *([_model_dir(inputs["baseline_model"])] if has_baseline else [])]
        models = dict(zip(names, folders, strict=True))
        schema = _schema(inputs)
        # Every column: the live model may read features that the candidate no longer has.
        uris = [artifact.uri for artifact in inputs["examples"]]
        splits = json_utils.loads(exec_properties.get("example_splits") or "null") or ["eval"]
        table = example_files.read_splits(uris, splits, schema)
        target = settings.features.target
        results, drawn = evaluate(table, target, models, spec)
        bar = _bar(inputs, settings, results[names[0]].get(OVERALL, {}), lambda: table)
        judgement = judge.judge(results[names[0]], results[names[1]] if has_baseline else None, spec, target.task, bar)
        output = artifact_utils.get_single_uri(output_dict["evaluation"])
        tfma_files.write(
            output,
            results,
            judgement,
            config,
            data_location=inputs["examples"][0].uri,
            model_locations=models,
            bootstraps=spec.bootstraps,
        )
        _write_curves(output, drawn, names)
        _publish(_with_notes(judgement, drawn, names), output, inputs, output_dict, exec_properties)


class BeamExecutor(stock.Executor):
    """The stock executor on any Beam runner; its metrics are judged as the local engine's are."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties) -> None:
        """Runs TFMA, then applies our judgement in place of TFMA's, which cannot leave small slices unjudged."""
        inputs = _without_absent_baseline(input_dict)
        models = [inputs["model"], *([inputs["baseline_model"]] if inputs.get("baseline_model") else [])]
        if any(signature_of(_model_dir(artifacts)) for artifacts in models):
            # TFMA reads the signatures that this project writes, and no others.
            LocalExecutor(self._context).Do(input_dict, output_dict, exec_properties)
            return
        settings = EvaluatorSettings.from_json(exec_properties[SETTINGS])
        spec, task = settings.evaluation, settings.features.task
        exec_properties = {**exec_properties, "eval_config": _at_own_thresholds(exec_properties["eval_config"], inputs)}
        with spread_reads():
            super().Do(inputs, output_dict, exec_properties)
        output = artifact_utils.get_single_uri(output_dict["evaluation"])
        results = tfma_files.read_results(output)
        has_baseline = bool(inputs.get("baseline_model"))
        candidate = results.get(CANDIDATE, results.get("", {}))
        bar = _bar(inputs, settings, candidate.get(OVERALL, {}), lambda: _read(inputs, "eval"))
        judgement = judge.judge(candidate, results.get(BASELINE, {}) if has_baseline else None, spec, task, bar)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        for name in (constants.BLESSED_FILE_NAME, constants.NOT_BLESSED_FILE_NAME):
            path = os.path.join(blessing.uri, name)
            if tf.io.gfile.exists(path):
                tf.io.gfile.remove(path)
        tfma_files.write_validation(output, judgement, candidate)
        names = [name for name in (CANDIDATE, "", BASELINE) if name in results]
        whole = {name: results[name].get(OVERALL, {}) for name in names}
        if task == "binary":
            of = {name: thresholds.read(folder) for name, folder in _folders(inputs).items()}
            histograms = tfma_files.read_histograms(output)
            drawn = {
                name: curves.curves_of(one, whole[name], of[name or CANDIDATE]) for name, one in histograms.items()
            }
        else:  # TFMA's plots of other tasks hold no rows to draw from.
            drawn = {name: curves.without_curves(measured) for name, measured in whole.items() if measured}
        _write_curves(output, drawn, names)
        _publish(_with_notes(judgement, drawn, names), output, inputs, output_dict, exec_properties)


def _with_notes(judgement: Judgement, drawn: Mapping[str, ModelCurves], names: Sequence[str]) -> Judgement:
    """Returns the judgement with notes on the candidate, whose name is the first."""
    notes = judge.notes_on(drawn[names[0]]) if names and names[0] in drawn else ()
    return dataclasses.replace(judgement, notes=notes)


def _bar(
    inputs: Artifacts, settings: EvaluatorSettings, overall: Mapping[str, Metric], read_rows: Callable[[], pa.Table]
) -> Bar | None:
    """Measures what the candidate must beat. In this process on both engines, as the Trainer itself works."""
    return must_beat.measure(
        settings.features,
        settings.evaluation,
        overall,
        read_rows,
        lambda rows: predictor_of(_model_dir(inputs["model"])).predict(rows),
        lambda columns: learnable(_read(inputs, "train", columns), _schema(inputs), settings.features),
    )


def _read(inputs: Artifacts, split: str, columns: Collection[str] | None = None) -> pa.Table:
    paths = [path for artifact in inputs["examples"] for path in example_files.split_paths(artifact.uri, split)]
    return example_files.read_table(paths, _schema(inputs), sorted(columns) if columns is not None else None)


def _schema(inputs: Artifacts) -> schema_pb2.Schema:
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(inputs["schema"])))


def _write_curves(output: str, drawn: Mapping[str, ModelCurves], names: Sequence[str]) -> None:
    """Writes what a report draws; `names` are the candidate's and, where a model is live, its."""
    models = [drawn[name] for name in names if name in drawn]
    if models:
        both = curves.EvaluationCurves(candidate=models[0], live=models[1] if len(models) > 1 else None)
        io_utils.write_string_file(os.path.join(output, curves.FILE), both.to_json())


def _folders(inputs: Artifacts) -> dict[str, str]:
    """Returns the SavedModels by TFMA's names of two."""
    keys = {CANDIDATE: "model", BASELINE: "baseline_model"}
    return {name: _model_dir(inputs[key]) for name, key in keys.items() if inputs.get(key)}


def _at_own_thresholds(eval_config: str, inputs: Artifacts) -> str:
    """Returns the config with the metrics of each model's answers at that model's own thresholds."""
    config = json_format.Parse(eval_config, tfma.EvalConfig())
    read = {name: thresholds.read(folder) for name, folder in _folders(inputs).items()}
    tfma_config.set_answer_thresholds(config, read)
    return json_format.MessageToJson(config, preserving_proto_field_name=True)


def _without_absent_baseline(input_dict: Artifacts) -> Artifacts:
    present = [a for a in input_dict.get("baseline_model", []) if a.get_int_custom_property("present") == 1]
    inputs = {name: artifacts for name, artifacts in input_dict.items() if name != "baseline_model"}
    return {**inputs, "baseline_model": present} if present else inputs


def _model_dir(artifacts: Sequence[Artifact]) -> str:
    return str(path_utils.serving_model_path(artifact_utils.get_single_instance(list(artifacts)).uri))


def _publish(
    judgement: Judgement,
    output: str,
    inputs: Artifacts,
    output_dict: Artifacts,
    exec_properties: ExecProperties,
) -> None:
    """Writes the judgement in words, and the blessing as the stock executor does."""
    io_utils.write_string_file(os.path.join(output, judge.JUDGEMENT_FILE), judgement.to_json())
    blessing = artifact_utils.get_single_instance(output_dict["blessing"])
    candidate = artifact_utils.get_single_instance(inputs["model"])
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, candidate.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, candidate.id)
    if inputs.get("baseline_model"):
        baseline = artifact_utils.get_single_instance(inputs["baseline_model"])
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    if "current_component_id" in exec_properties:
        blessing.set_string_custom_property("component_id", exec_properties["current_component_id"])
    name = constants.BLESSED_FILE_NAME if judgement.blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
    value = constants.BLESSED_VALUE if judgement.blessed else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)


class Evaluator(base_beam_component.BaseBeamComponent):
    """The Evaluator: stock but for its judgement, and for an absent live model being no baseline."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(BeamExecutor)

    def __init__(
        self,
        examples: BaseChannel,
        model: BaseChannel,
        baseline_model: BaseChannel,
        schema: BaseChannel,
        eval_config: tfma.EvalConfig,
        settings: str,
    ) -> None:
        """Takes what the stock Evaluator takes, and `settings`: EvaluatorSettings.to_json()."""
        super().__init__(
            spec=EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                schema=schema,
                eval_config=eval_config,
                example_splits=json_utils.dumps(["eval"]),
                fairness_indicator_thresholds=json_utils.dumps(None),
                settings=settings,
                evaluation=Channel(type=standard_artifacts.ModelEvaluation),
                blessing=Channel(type=standard_artifacts.ModelBlessing),
            )
        )


def local_evaluator(**arguments: Any) -> Evaluator:  # Any: Evaluator's own arguments.
    """Returns the Evaluator with the local executor."""
    component = Evaluator(**arguments)
    component.executor_spec = executor_spec.ExecutorClassSpec(LocalExecutor)
    return component
