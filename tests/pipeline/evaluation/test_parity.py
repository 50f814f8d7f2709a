"""Our arrays against TFMA on Beam: the same metrics, the same judgement, files that TFMA reads."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts
from tfx.utils import io_utils, json_utils

from data.taxi import source as taxi
from models.features import FeatureSpec
from models.thresholds import Thresholds
from pipeline.components import evaluator
from pipeline.evaluation import registry
from pipeline.evaluation.curves import FILE, EvaluationCurves
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.evaluation.tfma_config import eval_config
from pipeline.evaluation.tfma_files import read_results
from pipeline.gate.settings import EvaluatorSettings
from tests.pipeline.evaluation import toy_model

SPEC = EvaluationSpec(
    slices=(("payment",), ("hour",)),
    min_slice_examples=30,
    min_auc=0.6,
    max_auc_drop=0.02,
    max_slice_auc_drop=0.2,
    bootstraps=0,  # TFMA takes minutes for its replicates; intervals have a test of their own.
)
# By both engines.
MEASURED = {item.name for item in registry.of_task("binary") if item.tfma_of("binary")}
FEATURES = FeatureSpec(label="y", numeric=("x", "hour"))
TARGETS = {
    "binary": {"label": "y"},
    "multiclass": {"label": "y", "task": "multiclass", "classes": ("0", "1", "2", "3")},
    "regression": {"label": "late", "task": "regression"},
}


def values_of(metrics, names):
    """Values by name; of a correlation with what is always the same, 0 as scikit-learn has it, where TFMA has none."""
    values = {name: metrics[name].value for name in names}
    return {name: 0.0 if "correlation" in name and math.isnan(value) else value for name, value in values.items()}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return artifacts(tmp_path_factory.mktemp("evaluation"), toy_model.rows(1_000))


def artifacts(folder, columns, task="binary", *, weighted=False):
    """Examples, a candidate, a slightly worse live model, and the schema, as artifacts."""
    for split in ("train", "eval"):  # From the train rows comes what a candidate must beat.
        toy_model.write_examples(folder / "examples" / f"Split-{split}" / "data.gz", columns)
    io_utils.write_pbtxt_file(str(folder / "schema" / "schema.pbtxt"), toy_model.SCHEMA)
    made = {}
    for name, kind in (
        ("examples", standard_artifacts.Examples),
        ("model", standard_artifacts.Model),
        ("baseline_model", standard_artifacts.Model),
        ("schema", standard_artifacts.Schema),
    ):
        artifact = kind()
        artifact.uri = str(folder / name)
        artifact.id = len(made) + 1
        made[name] = [artifact]
    made["examples"][0].split_names = '["eval"]'
    examples_utils.set_payload_format(made["examples"][0], example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(made["examples"][0], "tfrecords_gzip")
    made["baseline_model"][0].set_int_custom_property("present", 1)
    for name, slope in (("model", 2.0), ("baseline_model", -0.5)):
        toy_model.save(folder / name / "Format-Serving", slope, task, weighted=weighted)
    # Each model is measured at its own threshold.
    Thresholds(values=(0.25,)).write(str(folder / "model" / "Format-Serving"))
    Thresholds(values=(0.625,)).write(str(folder / "baseline_model" / "Format-Serving"))
    return made


def execute(kind, inputs, folder, spec=SPEC, features=FEATURES):
    output = {}
    for name, artifact_kind in (
        ("evaluation", standard_artifacts.ModelEvaluation),
        ("blessing", standard_artifacts.ModelBlessing),
    ):
        artifact = artifact_kind()
        artifact.uri = str(folder / name)
        output[name] = [artifact]
    settings = EvaluatorSettings(features=features, evaluation=spec)
    properties = {
        "eval_config": json_format.MessageToJson(eval_config(spec, features.target), preserving_proto_field_name=True),
        "example_splits": json_utils.dumps(["eval"]),
        "settings": settings.to_json(),
    }
    on_beam = {"beam_pipeline_args": ["--runner=FnApiRunner"]} if kind is evaluator.BeamExecutor else {}
    kind(kind.Context(tmp_dir=str(folder), unique_id="1", **on_beam)).Do(inputs, output, properties)
    judgement = json.loads((folder / "evaluation" / "judgement.json").read_text())
    return output["blessing"][0], judgement, read_results(str(folder / "evaluation"))


@pytest.fixture(scope="module")
def local(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    return folder, *execute(evaluator.LocalExecutor, inputs, folder)


@pytest.fixture(scope="module")
def beam(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("beam")
    return folder, *execute(evaluator.BeamExecutor, inputs, folder)


def test_metrics_equal_tfmas_for_both_models_and_every_slice(local, beam):
    ours, theirs = local[3], beam[3]

    assert set(ours) == set(theirs) == {"candidate", "baseline"}
    for model in ours:
        assert set(ours[model]) == set(theirs[model])
        assert len(ours[model]) == 1 + 3 + 24
        for key in ours[model]:
            assert set(theirs[model][key]) & set(ours[model][key]) >= MEASURED
            expected, got = (values_of(metrics[model][key], MEASURED) for metrics in (theirs, ours))
            assert got == pytest.approx(expected, abs=1e-4, rel=1e-4, nan_ok=True), (model, key)


def test_every_metric_is_held_to_tfma_but_what_it_cannot_add_up_row_by_row():
    # The other tests here hold every metric that has a class. One without is named here, with the reason why.
    alone = {(task, item.name) for task in TARGETS for item in registry.of_task(task) if not item.tfma_of(task)}

    assert alone == {
        ("multiclass", "auc_macro"),  # The ranks of every class.
        ("regression", "mean_pinball_loss"),  # TFMA takes one tensor of a model: its value.
        ("regression", "interval_coverage"),
        ("regression", "interval_width"),
    }


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_weighted_metrics_of_every_task_equal_tfmas(task, tmp_path):
    features = FeatureSpec(**TARGETS[task], weight="fare", numeric=("x", "hour"))
    inputs = artifacts(tmp_path, toy_model.rows_of(task, 300), task, weighted=True)
    if task == "multiclass":  # By factors that answer other classes than the most probable ones.
        Thresholds(values=(1.0, 0.5, 1.5, 1.0)).write(str(tmp_path / "model" / "Format-Serving"))
    del inputs["baseline_model"]
    # Of 300 rows chance alone makes an error of calibration, of which TFMA knows nothing.
    spec = EvaluationSpec(slices=(("payment",),), bootstraps=0, max_calibration_error=0.3)
    kinds = (evaluator.LocalExecutor, evaluator.BeamExecutor)

    (ours, ours_judged), (theirs, theirs_judged) = (
        execute(kind, inputs, tmp_path / kind.__name__, spec, features)[:0:-1] for kind in kinds
    )

    measured = {item.name for item in registry.of_task(task) if item.tfma_of(task)}
    assert set(ours[""]) == set(theirs[""])
    assert len(ours[""]) == 4
    for key, metrics in ours[""].items():
        assert measured <= set(metrics) & set(theirs[""][key])
        expected = values_of(theirs[""][key], measured)
        got = values_of(metrics, measured)
        assert got == pytest.approx(expected, abs=1e-4, rel=1e-4, nan_ok=True), key
        if not key:
            drawn, others = (
                dict(
                    EvaluationCurves.from_json(
                        (tmp_path / kind.__name__ / "evaluation" / FILE).read_text()
                    ).candidate.metrics
                )
                for kind in kinds
            )
            assert set(others) == measured & set(drawn)
    # Weights are not all alike, so they must show.
    assert ours[""][()]["example_count"].value == 300
    assert (ours_judged["blessed"], ours_judged["reasons"]) == (theirs_judged["blessed"], theirs_judged["reasons"])


def test_metrics_of_taxi_trips_equal_tfmas(tmp_path):
    table = pa_csv.read_csv(taxi.write_spans(tmp_path / "taxi")[4]).slice(0, 1_000)
    inputs = artifacts(
        tmp_path,
        {
            "hour": table["trip_start_hour"].to_pylist(),
            "fare": table["fare"].cast(pa.float32()).to_pylist(),
            "payment": table["company"].to_pylist(),
            # Small enough that no probability is 1 in one vectorised sigmoid and 0.99999994 in another.
            "x": ((table["payment_type"].to_numpy() == "Credit Card") - 0.5).astype(np.float32),
            "y": (table["tips"].to_numpy() > 0.2 * table["fare"].to_numpy()).astype(int),
        },
    )
    del inputs["baseline_model"]
    spec = dataclasses.replace(SPEC, slices=(("payment",),))
    kinds = (evaluator.LocalExecutor, evaluator.BeamExecutor)
    ours, theirs = (execute(kind, inputs, tmp_path / kind.__name__, spec)[2] for kind in kinds)

    assert set(ours[""]) == set(theirs[""])
    assert len(ours[""]) > 10
    for key, metrics in ours[""].items():
        expected = values_of(theirs[""][key], MEASURED)
        got = values_of(metrics, MEASURED)
        assert got == pytest.approx(expected, abs=1e-4, rel=1e-4, nan_ok=True), key


def test_both_engines_bless_alike_and_for_the_same_reasons(local, beam):
    assert local[1].get_int_custom_property("blessed") == beam[1].get_int_custom_property("blessed") == 1
    assert local[2]["blessed"] is beam[2]["blessed"] is True
    assert [row["status"] for row in local[2]["slices"]] == [row["status"] for row in beam[2]["slices"]]
    assert [row["slice"] for row in local[2]["slices"]] == [row["slice"] for row in beam[2]["slices"]]
    assert local[2]["bar"]["candidate"] == pytest.approx(beam[2]["bar"]["candidate"], abs=1e-4)
    assert (local[2]["bar"]["baseline"], local[2]["bar"]["value"]) == ("majority", 0.5)


def test_both_engines_draw_the_same_curves(local, beam):
    ours, theirs = (EvaluationCurves.from_json((made[0] / "evaluation" / FILE).read_text()) for made in (local, beam))

    assert ours.candidate.thresholds == Thresholds(values=(0.25,))
    for mine, other in ((ours.candidate, theirs.candidate), (ours.live, theirs.live)):
        # TFMA's plot has a tenth of the buckets that its AUC has.
        assert area(mine.roc) == pytest.approx(area(other.roc), abs=5e-3)
        assert area(mine.roc) == pytest.approx(dict(mine.metrics)["auc"], abs=5e-3)
        assert [bin_.examples for bin_ in mine.calibration] == [bin_.examples for bin_ in other.calibration]
        np.testing.assert_allclose(mine.confusion, other.confusion, atol=0.01)
        assert mine.thresholds == other.thresholds
        for name in ("predicted", "observed", "low", "high"):
            expected = [getattr(bin_, name) for bin_ in other.calibration]
            assert [getattr(bin_, name) for bin_ in mine.calibration] == pytest.approx(expected, abs=1e-4)


def area(points):
    return sum((x - before_x) * (y + before_y) / 2 for (before_x, before_y), (x, y) in itertools.pairwise(points))


def test_tfma_reads_the_local_files(local):
    folder = str(local[0] / "evaluation")

    result = tfma.load_eval_result(folder, model_name="candidate")
    validation = tfma.load_validation_result(folder)

    by_slice = {key: metrics[""][""] for key, metrics in result.slicing_metrics}
    assert by_slice[()]["auc"]["doubleValue"] == pytest.approx(local[3]["candidate"][()]["auc"].value)
    assert (("payment", "Ünknown"),) in by_slice
    assert validation.validation_ok


def test_an_absent_live_model_is_no_baseline(inputs, tmp_path):
    inputs["baseline_model"][0].set_int_custom_property("present", 0)
    try:
        blessing, judgement, results = execute(evaluator.LocalExecutor, inputs, tmp_path)
    finally:
        inputs["baseline_model"][0].set_int_custom_property("present", 1)

    assert list(results) == [""]
    assert blessing.get_int_custom_property("blessed") == 1
    assert "no model is live" in judgement["reasons"][0]


def test_no_labelled_rows_are_never_blessed(inputs, tmp_path):
    columns = toy_model.rows(20)
    toy_model.write_examples(tmp_path / "Split-eval" / "data.gz", {**columns, "y": np.array([None] * 20, object)})
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path)

    blessing, judgement, _ = execute(evaluator.LocalExecutor, {**inputs, "examples": [examples]}, tmp_path)

    assert blessing.get_int_custom_property("blessed") == 0
    assert judgement["reasons"] == ["the eval split has no examples"]
    assert (tmp_path / "blessing" / "NOT_BLESSED").exists()
