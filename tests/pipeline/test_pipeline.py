"""The definition of the pipeline: which component's parameters a setting is part of, and so what it runs again."""

import dataclasses

import pytest

from pipeline.components import nodes
from pipeline.config.dataset import load_dataset
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.pipeline import create_pipeline
from pipeline.selection.tuning_spec import TuningSpec

TAXI = load_dataset("taxi")


def parameters(dataset, **values):
    """Returns each component's parameters, by node id; no model is live yet."""
    config = PipelineConfig(
        dataset=dataset,
        data_root="/data",
        span=1,
        pipeline_root="/root",
        serving_dir="/serving",
        state_dir="/state",
        **{"metadata_path": "/root/metadata.sqlite", **values},
    )
    return {component.id: dict(component.exec_properties) for component in create_pipeline(config).components}


def changed(live_version="", **tables):
    """Returns the components whose parameters another dataset file changes."""
    before = parameters(TAXI, live_version=live_version)
    after = parameters(dataclasses.replace(TAXI, **tables), live_version=live_version)
    return {node for node in before if before[node] != after[node]}


def test_every_node_is_there_by_the_id_that_readers_ask_for():
    with_schema, without = parameters(TAXI), parameters(dataclasses.replace(TAXI, schema_path=None))

    compiled = parameters(TAXI, metadata_path=None)
    tuned = parameters(dataclasses.replace(TAXI, tuning=TuningSpec(each_training=True)))
    assert {*with_schema, *without, *compiled, *tuned} == {
        value for name, value in vars(nodes).items() if name.isupper()
    }
    assert compiled.keys() - with_schema.keys() == {"RecordOutcome"}


def test_what_refused_a_candidate_is_told_by_the_runner_or_found_by_the_gate_itself():
    local, compiled = parameters(TAXI, refused="5/0"), parameters(TAXI, metadata_path=None)

    assert (local["RerunGate"]["refused"], local["RerunGate"]["thresholds"]) == ("5/0", "")
    assert (compiled["RerunGate"]["refused"], compiled["RerunGate"]["thresholds"]) == ("", TAXI.thresholds)
    assert compiled["RecordOutcome"]["thresholds"] == TAXI.thresholds


@pytest.mark.parametrize("setting", [{"min_auc": 0.999}, {"max_slice_auc_drop": 0.2}, {"bootstraps": 0}])
def test_a_threshold_of_the_evaluation_runs_the_evaluator_alone(setting):
    assert changed(evaluation=dataclasses.replace(TAXI.evaluation, **setting)) == {"Evaluator"}


def test_a_live_model_is_held_to_the_floors_too():
    live = {"live_version": "1700000000"}

    floors = dataclasses.replace(TAXI.evaluation, min_auc=0.999, max_calibration_error=0.01)
    assert changed(evaluation=floors, **live) == {"RerunGate", "Evaluator"}
    assert changed(evaluation=dataclasses.replace(TAXI.evaluation, max_auc_drop=0.2), **live) == {"Evaluator"}


def test_a_hyperparameter_is_a_matter_of_the_gate_and_none_of_the_evaluation():
    # The gate compares it with the live model's; BaselineGen writes it beside the new one.
    expected = {"RerunGate", "Trainer", "BaselineGen"}

    assert changed(training=dataclasses.replace(TAXI.training, epochs=3)) == expected
