from models.learners.linear import LinearLearner
from models.learners.network import NetworkLearner
from models.learners.registry import FEW_ROWS, of_model, settled
from models.learners.several import Several
from models.learners.trees import TreesLearner
from models.model_spec import ModelSpec


def test_where_none_is_named_few_rows_train_a_linear_model():
    assert isinstance(of_model(ModelSpec(), FEW_ROWS - 1), LinearLearner)
    assert isinstance(of_model(ModelSpec(), FEW_ROWS), NetworkLearner)
    assert [settled(ModelSpec(), rows).learner for rows in (FEW_ROWS - 1, FEW_ROWS)] == ["linear", "network"]


def test_a_learner_that_is_named_is_taken_of_any_number_of_rows():
    assert isinstance(of_model(ModelSpec(learner="network"), 20), NetworkLearner)
    assert isinstance(of_model(ModelSpec(learner="trees"), 20), TreesLearner)
    assert isinstance(of_model(ModelSpec(learners=("trees", "linear")), 5_000), Several)
