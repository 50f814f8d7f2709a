import pytest

from models.errors import TrainingError
from models.training_spec import TrainingSpec


def test_json_round_trip_and_defaults():
    spec = TrainingSpec(hidden_units=(8, 4), learning_rate=0.01)

    assert TrainingSpec.from_json(spec.to_json()) == spec
    assert TrainingSpec.from_json("{}") == TrainingSpec()
    assert TrainingSpec.from_json('{"hidden_units": [8, 4], "learning_rate": 0.01}') == spec


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected an integer in \\[1, 1_000_000\\]. Received: 0."),
        ({"epochs": 1.5}, "epochs: expected an integer in \\[1, 10_000\\]. Received: 1.5."),
        ({"max_steps": -1}, "max_steps: expected an integer .* Received: -1."),
        ({"learning_rate": 0.0}, "learning_rate: expected a number in \\(0, 10\\]. Received: 0.0."),
        ({"dropout": 1.0}, "dropout: expected a number in \\[0, 1\\). Received: 1.0."),
        ({"validation_fraction": 0.0}, "validation_fraction: expected a number in \\(0, 1\\). Received: 0.0."),
        ({"calibrate": 1}, "calibrate: expected true or false. Received: 1."),
        ({"hidden_units": (8, 0)}, "hidden_units\\[1\\]: expected an integer in \\[1, 16_384\\]. Received: 0."),
    ],
)
def test_values_out_of_range_are_refused(setting, message):
    with pytest.raises(TrainingError, match=message):
        TrainingSpec(**setting)


def test_unknown_hyperparameters_are_named():
    with pytest.raises(TrainingError, match=r"Unknown hyperparameters: lr. Allowed: batch_size, "):
        TrainingSpec.from_json('{"lr": 0.1}')
