"""PyCaret's side of `compare`: run by the interpreter of PyCaret's own environment, it imports nothing of ours.

    python pycaret_worker.py FOLDER

reads FOLDER/job.json, train.parquet and test.parquet, and writes FOLDER/answers.parquet and answer.json.
"""

import json
import os
import pickle
import sys
import time
import warnings
from pathlib import Path


def main(folder: Path) -> None:
    """Has PyCaret compare its models by cross-validation on the train rows, and the best one predict the others."""
    warnings.filterwarnings("ignore")
    import pandas as pd
    from pycaret import classification, regression

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    train, test = (pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "test"))
    is_number = job["task"] == "regression"
    experiment = (regression.RegressionExperiment if is_number else classification.ClassificationExperiment)()
    started = time.perf_counter()
    experiment.setup(
        data=train,
        target=job["label"],
        session_id=job["seed"],
        numeric_features=job["numeric"] or None,
        categorical_features=job["categorical"] or None,
        max_encoding_ohe=job["most_one_hot"],
        data_split_shuffle=False,
        # The rows are in the order of their spans, and each part is predicted from those before it.
        data_split_stratify=False,
        fold_strategy="timeseries",
        fold=job["folds"],
        n_jobs=job["jobs"],
        html=False,
        verbose=False,
    )
    best = experiment.compare_models(sort=job["sort"], budget_time=job["minutes"], verbose=False)
    if isinstance(best, list):
        raise SystemExit("PyCaret finished no model within its minutes. Give it more with --pycaret-minutes.")
    name = type(best).__name__
    model = experiment.finalize_model(best)
    fitted = time.perf_counter()
    scores_too = {} if is_number else {"raw_score": True}
    predicted = experiment.predict_model(model, data=test, verbose=False, **scores_too)
    seconds = time.perf_counter() - fitted
    if is_number:
        answers = predicted[["prediction_label"]].set_axis(["value"], axis=1)
    else:
        scores = {column.removeprefix("prediction_score_"): column for column in predicted if "score_" in column}
        answers = pd.DataFrame({f"class {index}": predicted[column] for index, column in scores.items()})
        if answers.empty:  # A model without probabilities, such as a ridge classifier.
            answers = pd.get_dummies(predicted["prediction_label"].astype(int), dtype=float).add_prefix("class ")
    answers.to_parquet(folder / "answers.parquet")
    answer = {
        "model": name,
        "fit_seconds": fitted - started,
        "predict_seconds": seconds,
        "size_bytes": len(pickle.dumps(model)),
    }
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    os.chdir(sys.argv[1])  # PyCaret leaves a log in the working folder.
    main(Path(sys.argv[1]))
