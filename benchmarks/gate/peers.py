"""Asks Evidently, NannyML or alibi-detect, with their defaults, whether spans drifted; run in their environment.

The argument is the library. Each line of standard input names a folder with reference.parquet and 0.parquet, 1.parquet,
..., and the number of these spans; each line of the answer is a JSON object: detector to one 0 or 1 per span.
"""

import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"


def evidently(reference: pd.DataFrame, spans: Sequence[pd.DataFrame]) -> dict[str, list[int]]:
    """The drift preset's count of drifted columns: its own verdict (half of them), and whether any column did.

    The count alone, without the preset's charts, takes a tenth of its time.
    """
    from evidently import Report
    from evidently.metrics import DriftedColumnsCount

    found: dict[str, list[int]] = {"Evidently, its verdict": [], "Evidently, any column": []}
    for span in spans:
        (counts,) = Report([DriftedColumnsCount()]).run(span, reference).dict()["metrics"]
        found["Evidently, its verdict"].append(int(counts["value"]["share"] >= 0.5))
        found["Evidently, any column"].append(int(counts["value"]["count"] > 0))
    return found


def nannyml(reference: pd.DataFrame, spans: Sequence[pd.DataFrame]) -> dict[str, list[int]]:
    """The univariate calculator with its default methods and thresholds; an alert on any column."""
    from nannyml import UnivariateDriftCalculator

    found: list[int] = []
    fitted = {}
    for span in spans:
        if len(span) not in fitted:
            calculator = UnivariateDriftCalculator(column_names=list(reference.columns), chunk_size=len(span))
            fitted[len(span)] = calculator.fit(reference)
        results = fitted[len(span)].calculate(span).filter(period="analysis").to_df()
        alerts = results.loc[:, [column for column in results.columns if column[-1] == "alert"]]
        found.append(int(alerts.fillna(False).to_numpy().any()))
    return {"NannyML, any column": found}


def alibi(reference: pd.DataFrame, spans: Sequence[pd.DataFrame]) -> dict[str, list[int]]:
    """TabularDrift: Kolmogorov-Smirnov and chi-squared tests at 5 % in all, by Bonferroni; a missing value is -1."""
    from alibi_detect.cd import TabularDrift

    everything = pd.concat([reference, *spans])
    texts = [column for column in reference.columns if not pd.api.types.is_numeric_dtype(reference[column])]
    categories = {column: pd.Index(everything[column].dropna().unique()) for column in texts}

    def encode(table: pd.DataFrame) -> np.ndarray:
        columns = [
            categories[name].get_indexer(table[name]) if name in categories else table[name].fillna(-1.0)
            for name in reference.columns
        ]
        return np.column_stack(columns).astype(np.float64)

    positions = {list(reference.columns).index(name): None for name in texts}
    detector = TabularDrift(encode(reference), categories_per_feature=positions)
    return {"alibi-detect, TabularDrift": [int(detector.predict(encode(span))["data"]["is_drift"]) for span in spans]}


def main(argv: Sequence[str]) -> int:
    """Answers until the input ends. Exit status: 0."""
    ask = {"evidently": evidently, "nannyml": nannyml, "alibi": alibi}[argv[0]]
    answers = sys.stdout
    sys.stdout = sys.stderr  # Libraries print.
    for line in sys.stdin:
        folder, number = line.rsplit(maxsplit=1)
        reference = pd.read_parquet(Path(folder) / "reference.parquet")
        spans = [pd.read_parquet(Path(folder) / f"{index}.parquet") for index in range(int(number))]
        print(json.dumps(ask(reference, spans)), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
