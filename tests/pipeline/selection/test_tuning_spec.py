import pytest

from models.model_spec import ModelSpec
from models.training_spec import TrainingSpec
from pipeline.selection.tuning_spec import TuningSpec


def choices(space, **training):
    return TuningSpec(space=space).choices(TrainingSpec(**training), ModelSpec())


def test_the_datasets_own_value_comes_first_and_once():
    assert choices({"dropout": (0, 0.25, 0.5)}, dropout=0.25) == {"dropout": (0.25, 0.0, 0.5)}
    assert choices({"hidden_units": ((8,), (16, 8))}, hidden_units=(32,)) == {"hidden_units": ((32,), (8,), (16, 8))}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"drop": (0.1,)}, "space: 'drop' is no key of [training]. There are: batch_size, epochs"),
        ({"dropout": ()}, "space.dropout: name at least one value."),
        ({"dropout": (0.1, 1.5)}, "space.dropout: expected a number in [0, 1). Received: 1.5."),
    ],
)
def test_values_that_could_not_be_trained_with_are_refused(space, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared.
        choices(space)
    assert str(error.value).startswith(message)


def test_it_survives_its_own_json():
    spec = TuningSpec(trials=3, space={"hidden_units": ((8,), (16, 8)), "dropout": (0.1,)})
    assert TuningSpec.from_json(spec.to_json()) == spec
