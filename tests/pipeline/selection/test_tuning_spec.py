import pytest

from models.model_spec import ModelSpec
from models.training_spec import TrainingSpec
from pipeline.selection.tuning_spec import TuningSpec


def choices(space, **training):
    return TuningSpec(space=space).choices(TrainingSpec(**training), ModelSpec())


def test_the_datasets_own_value_comes_first_and_once():
    assert choices({"dropout": (0, 0.25, 0.5)}, dropout=0.25) == {"dropout": (0.25, 0.0, 0.5)}
    assert choices({"hidden_units": ((8,), (16, 8))}, hidden_units=(32,)) == {"hidden_units": ((32,), (8,), (16, 8))}


def test_whole_numbers_among_strengths_are_the_same_strengths():
    assert choices({"l2": ((1, 10), (0.5,))}, l2=(1.0, 10.0)) == {"l2": ((1.0, 10.0), (0.5,))}


def test_without_a_space_it_is_the_learners_own_or_that_of_each_of_several():
    def names(**model):
        return set(TuningSpec().choices(TrainingSpec(), ModelSpec(**model)))

    assert {"learning_rate", "dropout"} <= names()
    assert "tree_rate" not in names()
    assert names(learner="linear") == {"l2"}
    assert names(learners=("trees", "linear")) == names(learner="trees") | {"l2"}


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
    spec = TuningSpec(trials=3, space={"hidden_units": ((8,), (16, 8)), "dropout": (0.1,), "l2": ((0.3, 1.0),)})
    assert TuningSpec.from_json(spec.to_json()) == spec
