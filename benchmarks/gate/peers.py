"""Asks Evidently, NannyML or alibi-detect, with their defaults, whether spans drifted; run in their environment.

Arguments: the library, a folder with reference.parquet and 0.parquet, 1.parquet, ..., and the number of spans. Prints a
JSON object: detector to one 0 or 1 per span.
"""

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")


def evidently(reference: pd.DataFrame, spans: Sequence[pd.DataFrame]) -> dict[str, list[int]]:
    """The drift preset: its own verdict (half of the columns drifted), and whether any column did."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    found: dict[str, list[int]] = {"Evidently, its verdict": [], "Evidently, any column": []}
    for span in spans:
        metrics = Report([DataDriftPreset()]).run(span, reference).dict()["metrics"]
        (counts,) = [
            metric["value"] for metric in metrics if "DriftedColumnsCount" in str(metric.get("metric_name", metric))
        ]
        found["Evidently, its verdict"].append(int(counts["share"] >= 0.5))
        found["Evidently, any column"].append(int(counts["count"] > 0))
    return found


def nannyml(reference: pd.DataFrame, spans: Sequence[pd.DataFrame]) -> dict[str, list[int]]:
    """The univariate calculator with its default methods and thresholds; an alert on any column."""
    from nannyml import UnivariateDriftCalculator

    found: list[int] = []
    for span in spans:
        calculator = UnivariateDriftCalculator(column_names=list(reference.columns), chunk_size=len(span))
        results = calculator.fit(reference).calculate(span).filter(period="analysis").to_df()
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
    """Prints the verdicts. Exit status: 0."""
    library, folder, number = argv
    reference = pd.read_parquet(Path(folder) / "reference.parquet")
    spans = [pd.read_parquet(Path(folder) / f"{index}.parquet") for index in range(int(number))]
    found = {"evidently": evidently, "nannyml": nannyml, "alibi": alibi}[library](reference, spans)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
