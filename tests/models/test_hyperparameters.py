from models import hyperparameters


def test_kerastuners_values_are_read_beside_what_the_gate_says():
    config = {"space": [], "values": {"dropout": 0.1, "hidden_units": "[64, 32]"}, "warm_start": False}
    assert hyperparameters.overrides(config) == {"dropout": 0.1, "hidden_units": [64, 32], "warm_start": False}


def test_the_gates_own_artifact_is_read_as_ever():
    assert hyperparameters.overrides({"warm_start": True}) == {"warm_start": True}
    assert hyperparameters.overrides(None) == {}


def test_a_list_becomes_one_value_and_comes_back():
    assert hyperparameters.decode({"hidden_units": hyperparameters.encode((8, 4))}) == {"hidden_units": [8, 4]}
