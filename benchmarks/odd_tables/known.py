"""Tables of scikit-learn's, asked for a yes or no."""

from __future__ import annotations

from benchmarks.odd_tables.table import Columns, OddTable, csv_text, roles_of, writes


def breast_cancer() -> OddTable:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    columns: Columns = dict(zip(names, data.data.T, strict=True))
    columns["diagnosis"] = [str(data.target_names[target]) for target in data.target]
    return OddTable(
        name="breast_cancer",
        file="breast cancer.csv",
        write=writes(csv_text(columns)),
        options=("--label", "diagnosis", "--positive", "malignant"),
        roles=roles_of(numeric=names, label="diagnosis"),
    )


def wine() -> OddTable:
    from sklearn.datasets import load_wine

    data = load_wine()
    names = [str(name) for name in data.feature_names]
    columns: Columns = dict(zip(names, data.data.T, strict=True))
    columns["cultivar"] = data.target
    return OddTable(
        name="wine",
        file="wine.csv",
        write=writes(csv_text(columns)),
        options=("--label", "cultivar", "--positive", "1"),
        roles=roles_of(numeric=names, label="cultivar"),
    )


def digits() -> OddTable:
    from sklearn.datasets import load_digits

    data = load_digits()
    names = [f"pixel {i // 8},{i % 8}" for i in range(64)]
    columns: Columns = {name: values.astype(int) for name, values in zip(names, data.data.T, strict=True)}
    columns["digit"] = data.target
    constant = [name for name in names if len(set(columns[name])) == 1]
    two = [name for name in names if len(set(columns[name])) == 2]
    numeric = [name for name in names if name not in (*constant, *two)]
    return OddTable(
        name="digits",
        file="digits.csv",
        write=writes(csv_text(columns)),
        options=("--label", "digit", "--positive", "8"),
        roles=roles_of(numeric=numeric, constant=constant, category=two, label="digit"),
    )
