import json

import pytest

from local_runner import main
from tests.helpers import task_datasets
from tests.pipeline.commands.test_evaluate import quick


def test_other_models_meet_the_same_rows(tmp_path, capfd):
    folder = quick(task_datasets.write(tmp_path / "classes", "multiclass", spans=2))

    assert main(["compare", "--dataset", str(folder), "--json"]) == 0

    value = json.loads(capfd.readouterr().out)
    scores = {score["name"]: score for score in value["contenders"]}
    assert set(scores) == {
        "this configuration",
        "no model",
        "linear model",
        "boosted trees",
    }
    for score in scores.values():
        (fold,) = score["folds"]
        assert (fold["span"], fold["trained_on"], fold["rows"]) == (2, [1], task_datasets.ROWS)
        assert fold["size_bytes"] > 0
        assert fold["predict_seconds"] > 0
    accuracy = {name: score["overall"]["sparse_categorical_accuracy"]["value"] for name, score in scores.items()}
    # Without a look at a row all are answered with the most frequent class; who looks at two columns knows better.
    assert accuracy["no model"] < 0.7
    assert min(accuracy["linear model"], accuracy["boosted trees"]) > accuracy["no model"] + 0.1


def test_a_model_that_there_is_not_is_wrong_usage(capfd):
    with pytest.raises(SystemExit) as end:
        main(["compare", "--with", "oracle"])
    assert end.value.code == 2
    assert "invalid choice: 'oracle' (choose from" in capfd.readouterr().err
