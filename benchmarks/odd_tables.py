"""Tables as strangers have them: separators, encodings, types and names; and the role of every column, by hand.

Each is a synthetic twin of a kind of table that is common (telecom churn, loans from Excel, police stops) or a table
of scikit-learn's, written by a seed. The label depends on some of the features, so that a model has something to learn.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Columns = dict[str, Sequence[Any]]  # Any: cells as they are written.
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, kw_only=True)
class OddTable:
    """One table.

    Attributes:
      file: its name; a folder's ends with a slash.
      write: makes it at a path.
      options: of `init`, beside the file.
      roles: by column; what a person who knows the table says.
    """

    name: str
    file: str
    write: Callable[[Path], None]
    options: tuple[str, ...]
    roles: Mapping[str, str]


def _csv(columns: Columns, separator: str = ",", ends: str = "\n") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=ends)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _writes(text: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(text.encode(encoding)), None)[1]


def _roles(**groups: str | Sequence[str]) -> dict[str, str]:
    """Turns role to columns into column to role; `multi_valued` stands for `multi-valued`."""
    listed = {role: [names] if isinstance(names, str) else names for role, names in groups.items()}
    return {name: role.replace("_", "-") for role, names in listed.items() for name in names}


def _yes(rng: np.random.Generator, score: np.ndarray, share: float) -> np.ndarray:
    """Draws labels whose chance rises with `score`; about `share` of them are true."""
    z = (score - score.mean()) / (score.std() or 1.0)
    offset = np.log(share / (1 - share))
    return np.asarray(rng.random(len(z)) < 1 / (1 + np.exp(-(offset + 1.6 * z))))


def _words(flags: np.ndarray, yes: str, no: str) -> list[str]:
    return [yes if flag else no for flag in flags]


def _gaps(rng: np.random.Generator, values: Sequence[Any], share: float, word: str = "") -> list[Any]:
    return [word if drawn < share else value for value, drawn in zip(values, rng.random(len(values)), strict=True)]


def _days(rng: np.random.Generator, first: str, days: int, rows: int) -> np.ndarray:
    return np.sort(np.datetime64(first) + rng.integers(0, days, rows) * _DAY)


def _german(number: float) -> str:
    return f"{number:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")


def churn() -> OddTable:
    rng = np.random.default_rng(1)
    n = 3_000
    tenure, monthly = rng.integers(0, 73, n), np.round(rng.uniform(18, 120, n), 2)
    contract = rng.choice(["Month-to-month", "One year", "Two year"], n)
    label = _yes(rng, -tenure / 24 + (contract == "Month-to-month") * 1.5 + monthly / 60, 0.27)
    columns = {
        "customerID": [f"{i:04d}-{''.join(rng.choice(list('ABCDEFGH'), 5))}" for i in rng.permutation(n)],
        "gender": rng.choice(["Female", "Male"], n),
        "SeniorCitizen": (rng.random(n) < 0.16).astype(int),
        "Partner": rng.choice(["Yes", "No"], n),
        "tenure": tenure,
        "InternetService": rng.choice(["DSL", "Fiber optic", "No"], n),
        "Contract": contract,
        "MonthlyCharges": monthly,
        "TotalCharges": [" " if t == 0 else round(t * m, 2) for t, m in zip(tenure, monthly, strict=True)],
        "Churn": _words(label, "Yes", "No"),
    }
    roles = _roles(
        identifier="customerID",
        category=["gender", "SeniorCitizen", "Partner", "InternetService", "Contract"],
        numeric=["tenure", "MonthlyCharges", "TotalCharges"],
        label="Churn",
    )
    return OddTable(
        name="churn", file="churn.csv", write=_writes(_csv(columns)), options=("--label", "Churn"), roles=roles
    )


def _loans(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.random.Generator]:
    rng = np.random.default_rng(seed)
    n = 6_000
    values = {
        "issued": _days(rng, "2014-01-01", 360, n),
        "amount": np.round(rng.lognormal(9, 0.7, n), 2),
        "rate": np.round(rng.uniform(5, 25, n), 2),
        "grade": rng.choice(list("ABCDEFG"), n),
        "income": np.round(rng.lognormal(11, 0.4, n)),
        "home": rng.choice(["OWN", "RENT", "MORTGAGE"], n),
    }
    label = _yes(rng, values["rate"] / 8 - np.log(values["income"]) * 2 + np.log(values["amount"]), 0.22)
    return label, values, rng


def loans_excel() -> OddTable:
    label, values, rng = _loans(2)
    n = len(label)
    columns = {
        "Kreditnummer": [10_000_000 + int(i) for i in rng.permutation(n)],
        "issue_date": [day.strftime("%d.%m.%Y") for day in values["issued"].tolist()],
        "Betrag (€)": [f"{_german(value)} €" for value in values["amount"]],
        "Zinssatz": [f"{rate:.2f} %".replace(".", ",") for rate in values["rate"]],
        "Wohnverhältnis": values["home"],
        "Einkommen": [_german(value) for value in values["income"]],
        "recoveries": [_german(abs(rng.normal(900, 200))) if bad else "" for bad in label],
        "Loan Status": [
            rng.choice(["Charged Off", "Default"]) if bad else rng.choice(["Fully Paid", "Current"]) for bad in label
        ],
    }
    roles = _roles(
        identifier="Kreditnummer",
        time="issue_date",
        numeric=["Betrag (€)", "Zinssatz", "Einkommen"],
        category="Wohnverhältnis",
        leak="recoveries",
        label="Loan Status",
    )
    options = "--label,Loan Status,--positive,Charged Off,Default,--time,issue_date,--every,month"
    text = _csv(columns, ";", "\r\n")
    return OddTable(
        name="loans_excel",
        file="Kredite 2014.csv",
        write=_writes(text, "cp1252"),
        options=tuple(options.split(",")),
        roles=roles,
    )


def loans_us() -> OddTable:
    label, values, rng = _loans(3)
    columns = {
        "loan_amnt": [f"${value:,.2f}" for value in values["amount"]],
        "int_rate": [f"{rate:.2f}%" for rate in values["rate"]],
        "grade": values["grade"],
        "annual_inc": _gaps(rng, [f"${value:,.0f}" for value in values["income"]], 0.03, "n/a"),
        "issue_d": [day.strftime("%b-%Y") for day in values["issued"].tolist()],
        "earliest_cr_line": [
            day.strftime("%b-%Y") for day in _days(rng, "1990-01-01", 7000, len(label))[::-1].tolist()
        ],
        "bad_loan": label.astype(int),
    }
    rng.shuffle(columns["earliest_cr_line"])
    roles = _roles(
        numeric=["loan_amnt", "int_rate", "annual_inc"],
        category="grade",
        time="issue_d",
        date="earliest_cr_line",
        label="bad_loan",
    )
    return OddTable(
        name="loans_us",
        file="loans.csv",
        write=_writes(_csv(columns)),
        options=("--label", "bad_loan", "--time", "issue_d", "--every", "quarter"),
        roles=roles,
    )


def diamonds() -> OddTable:
    rng = np.random.default_rng(4)
    n = 5_000
    carat = np.round(rng.gamma(2.0, 0.4, n) + 0.2, 2)
    cut = rng.choice(["Fair", "Good", "Very Good", "Premium", "Ideal"], n)
    price = np.round(4_000 * carat**1.7 * np.exp(rng.normal(0, 0.35, n)))
    columns = {
        "carat": carat,
        "cut": cut,
        "color": rng.choice(list("DEFGHIJ"), n),
        "clarity": rng.choice(["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"], n),
        "depth": np.round(rng.normal(61.7, 1.4, n), 1),
        "table": np.round(rng.normal(57.4, 2.2, n), 1),
        "price": price.astype(int),
        "expensive": _words(price > 5_000, "TRUE", "FALSE"),
    }
    roles = _roles(
        numeric=["carat", "depth", "table"], category=["cut", "color", "clarity"], leak="price", label="expensive"
    )
    return OddTable(
        name="diamonds",
        file="diamonds.csv",
        write=_writes(_csv(columns)),
        options=("--label", "expensive"),
        roles=roles,
    )


def police_stops() -> OddTable:
    rng = np.random.default_rng(5)
    n = 6_000
    day = _days(rng, "2015-01-01", 180, n)
    violation = rng.choice(["Speeding", "Equipment", "Moving violation", "Registration", "Seat belt", "Other"], n)
    age = rng.integers(16, 80, n)
    label = _yes(rng, (violation == "Moving violation") * 1.2 - age / 30, 0.12)
    columns = {
        "raw_row_number": np.arange(1, n + 1),
        "stop_date": day.astype(str),
        "stop_time": [f"{h:02d}:{m:02d}" for h, m in zip(rng.integers(0, 24, n), rng.integers(0, 60, n), strict=True)],
        "county_name": [""] * n,
        "driver_age": _gaps(rng, age, 0.05),
        "driver_race": rng.choice(["White", "Black", "Hispanic", "Asian"], n),
        "violation": violation,
        "search_conducted": _words(rng.random(n) < 0.1, "TRUE", "FALSE"),
        "officer_id": rng.integers(1_000, 1_180, n),
        "arrest_reason": ["warrant" if flag else "" for flag in label],
        "is_arrested": _words(label, "TRUE", "FALSE"),
    }
    roles = _roles(
        identifier="raw_row_number",
        time="stop_date",
        hashed="stop_time",
        constant="county_name",
        numeric="driver_age",
        category=["driver_race", "violation", "search_conducted", "officer_id"],
        leak="arrest_reason",
        label="is_arrested",
    )
    return OddTable(
        name="police_stops",
        file="stops.csv",
        write=_writes(_csv(columns)),
        options=("--label", "is_arrested", "--time", "stop_date", "--every", "month"),
        roles=roles,
    )


def titanic() -> OddTable:
    rng = np.random.default_rng(6)
    n = 891
    sex, pclass = rng.choice(["male", "female"], n, p=[0.65, 0.35]), rng.integers(1, 4, n)
    label = _yes(rng, (sex == "female") * 2.0 - pclass * 0.6, 0.38)
    first = rng.choice(["John", "Mary", "Anna", "William", "Emma", "Karl"], n)
    columns = {
        "PassengerId": np.arange(1, n + 1),
        "Survived": label.astype(int),
        "Pclass": pclass,
        "Name": [f"{''.join(rng.choice(list('abcdeiorstln'), 7)).title()}, Mr. {name}" for name in first],
        "Sex": sex,
        "Age": _gaps(rng, np.round(rng.uniform(1, 75, n), 1), 0.2),
        "SibSp": rng.integers(0, 6, n),
        "Parch": rng.integers(0, 5, n),
        "Fare": np.round(rng.lognormal(3, 1, n), 4),
        "Embarked": _gaps(rng, rng.choice(["S", "C", "Q"], n), 0.003),
        "boat": [str(rng.integers(1, 17)) if flag else "" for flag in label],
    }
    roles = _roles(
        identifier="PassengerId",
        label="Survived",
        numeric=["Age", "SibSp", "Parch", "Fare"],
        personal="Name",
        category=["Sex", "Embarked", "Pclass"],
        leak="boat",
    )
    return OddTable(
        name="titanic",
        file="titanic.csv",
        write=_writes(_csv(columns)),
        options=("--label", "Survived"),
        roles=roles,
    )


def breast_cancer() -> OddTable:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    columns: Columns = dict(zip(names, data.data.T, strict=True))
    columns["diagnosis"] = [str(data.target_names[target]) for target in data.target]
    return OddTable(
        name="breast_cancer",
        file="breast cancer.csv",
        write=_writes(_csv(columns)),
        options=("--label", "diagnosis", "--positive", "malignant"),
        roles=_roles(numeric=names, label="diagnosis"),
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
        write=_writes(_csv(columns)),
        options=("--label", "cultivar", "--positive", "1"),
        roles=_roles(numeric=names, label="cultivar"),
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
        write=_writes(_csv(columns)),
        options=("--label", "digit", "--positive", "8"),
        roles=_roles(numeric=numeric, constant=constant, category=two, label="digit"),
    )


def caravan() -> OddTable:
    rng = np.random.default_rng(7)
    n = 4_000
    codes = {f"M{i:02d}": rng.integers(0, 10, n) for i in range(1, 31)}
    label = _yes(rng, sum(codes[f"M{i:02d}"] for i in (3, 8, 21)) * 0.2, 0.1)
    columns: Columns = {**codes, "CARAVAN": label.astype(int)}
    return OddTable(
        name="caravan",
        file="caravan.tsv",
        write=_writes(_csv(columns, "\t")),
        options=("--label", "CARAVAN"),
        roles=_roles(numeric=list(codes), label="CARAVAN"),
    )


def ratings() -> OddTable:
    rng = np.random.default_rng(8)
    n = 8_000
    genres = np.array(["Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi", "War"])
    movie = rng.integers(1, 900, n)
    user = rng.integers(1, 600, n)
    runtime = 80 + movie % 70
    seconds = np.sort(rng.integers(1_420_070_400, 1_546_300_800, n))
    label = _yes(rng, runtime / 20 + rng.normal(0, 0.3, n), 0.5)
    columns = {
        "userId": user,
        "movieId": movie,
        "genres": ["|".join(rng.choice(genres, rng.integers(1, 5), replace=False)) for _ in range(n)],
        "runtime": runtime,
        "timestamp": seconds,
        "liked": label.astype(int),
    }
    return OddTable(
        name="ratings",
        file="ratings.csv",
        write=_writes(_csv(columns)),
        options=("--label", "liked", "--time", "timestamp", "--every", "year"),
        roles=_roles(
            category=["userId", "movieId"], multi_valued="genres", numeric="runtime", time="timestamp", label="liked"
        ),
    )


def storms() -> OddTable:
    rng = np.random.default_rng(9)
    n = 5_000
    wind = rng.integers(2, 33, n) * 5
    pressure = 1015 - wind * 0.7 + rng.normal(0, 6, n)
    label = _yes(rng, -pressure / 10, 0.3)
    columns = {
        "": np.arange(n),
        "storm": rng.choice(["Amy", "Bob", "Carla", "Dean", "Eva", "Fred", "Gina", "Hugo"], n),
        "year": np.sort(rng.integers(2010, 2020, n)),
        "month": rng.integers(1, 13, n),
        "hour": rng.choice([0, 6, 12, 18], n),
        "lat": np.round(rng.uniform(8, 50, n), 1),
        "long": np.round(rng.uniform(-100, -10, n), 1),
        "pressure": np.round(pressure).astype(int),
        "hurricane": _words(label, "y", "n"),
    }
    return OddTable(
        name="storms",
        file="storms.csv",
        write=_writes(_csv(columns)),
        options=("--label", "hurricane", "--time", "year", "--every", "year"),
        roles=_roles(
            category="storm",
            time="year",
            cyclical=["month", "hour"],
            numeric=["lat", "long", "pressure"],
            label="hurricane",
        ),
    )


def _plain(seed: int, n: int = 2_000) -> tuple[Columns, np.ndarray, np.random.Generator]:
    """A small table that others dress up: a number, a count, a category, and the label they cause."""
    rng = np.random.default_rng(seed)
    amount = np.round(rng.lognormal(4, 0.8, n), 2)
    visits = rng.integers(0, 40, n)
    city = rng.choice(["Köln", "Zürich", "Genève", "Málaga"], n)
    label = _yes(rng, np.log(amount) + visits / 15 + (city == "Zürich"), 0.35)
    return {"amount": amount, "visits": visits, "city": city}, label, rng


_PLAIN = _roles(numeric=["amount", "visits"], category="city", label="bought")


def utf16() -> OddTable:
    columns, label, _ = _plain(10)
    columns["bought"] = _words(label, "oui", "non")
    return OddTable(
        name="utf16",
        file="export.txt",
        write=_writes(_csv(columns, "\t", "\r\n"), "utf-16"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def utf8_bom() -> OddTable:
    columns, label, rng = _plain(11)
    columns["visits"] = _gaps(rng, [f"{visits}.0" for visits in columns["visits"]], 0.1, "NA")
    columns["city"] = _gaps(rng, columns["city"], 0.05, "-")
    columns["bought"] = label.astype(float)
    return OddTable(
        name="utf8_bom",
        file="bom.csv",
        write=_writes(_csv(columns), "utf-8-sig"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def gzipped_pandas() -> OddTable:
    columns, label, _ = _plain(12)
    text = _csv({"": np.arange(len(label)), **columns, "bought": [str(bool(flag)) for flag in label]})
    return OddTable(
        name="gzipped_pandas",
        file="pandas.csv.gz",
        write=lambda path: (path.write_bytes(gzip.compress(text.encode())), None)[1],
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def parquet_types() -> OddTable:
    columns, label, rng = _plain(13)
    n = len(label)
    signup = _days(rng, "2019-01-01", 900, n)
    rng.shuffle(signup)
    table = pa.table(
        {
            "amount": pa.array(columns["amount"]).cast(pa.decimal128(12, 2)),
            "visits": pa.array(columns["visits"], pa.int16()),
            "city": pa.array(columns["city"]).dictionary_encode(),
            "member": pa.array(rng.random(n) < 0.4),
            "signup": pa.array(signup.astype("datetime64[D]")),
            "seen": pa.array(
                np.sort(np.datetime64("2023-01-01T00:00:00", "us") + rng.integers(0, 90 * 86_400, n) * 1_000_000),
                pa.timestamp("us", tz="UTC"),
            ),
            "tags": pa.array([list(rng.choice(["a", "b", "c"], rng.integers(1, 3))) for _ in range(n)]),
            "place": pa.array([{"x": 1.0, "y": 2.0}] * n),
            "bought": pa.array(label),
        }
    )
    return OddTable(
        name="parquet_types",
        file="events.parquet",
        write=lambda path: pq.write_table(table, path),
        options=("--label", "bought", "--time", "seen", "--every", "month"),
        roles={
            **_PLAIN,
            **_roles(category="member", date="signup", time="seen", multi_valued="tags", unsupported="place"),
        },
    )


def json_lines() -> OddTable:
    columns, label, rng = _plain(14)
    lines = []
    for i, flag in enumerate(label):
        row = {
            "visits": int(columns["visits"][i]),
            "city": str(columns["city"][i]),
            "returning": bool(rng.random() < 0.5),
            "bought": bool(flag),
        }
        if rng.random() > 0.1:
            row["amount"] = float(columns["amount"][i])
        lines.append(json.dumps(row, ensure_ascii=rng.random() < 0.5))
    return OddTable(
        name="json_lines",
        file="events.jsonl",
        write=_writes("\n".join(lines)),
        options=("--label", "bought"),
        roles={**_PLAIN, "returning": "category"},
    )


def r_row_names() -> OddTable:
    columns, label, _ = _plain(15)
    columns["bought"] = _words(label, "yes", "no")
    header, *rows = _csv(columns).splitlines()
    text = "\n".join(
        [",".join(f'"{name}"' for name in header.split(",")), *(f'"{i}",{row}' for i, row in enumerate(rows, 1))]
    )
    return OddTable(
        name="r_row_names",
        file="from_r.csv",
        write=_writes(text + "\n"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def excel_preamble() -> OddTable:
    columns, label, _ = _plain(16)
    columns["amount"] = [str(value).replace(".", ",") for value in columns["amount"]]
    columns["bought"] = _words(label, "Ja", "Nein")
    text = "sep=;\r\n" + _csv(columns, ";", "\r\n")
    return OddTable(
        name="excel_preamble",
        file="Export (1).csv",
        write=_writes(text, "cp1252"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def report_title() -> OddTable:
    columns, label, _ = _plain(17)
    columns["bought"] = label.astype(int)
    text = "Sales report,,,\n,,,\n" + _csv(columns)
    return OddTable(
        name="report_title",
        file="report.csv",
        write=_writes(text),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def reviews() -> OddTable:
    columns, label, rng = _plain(18)
    words = np.array(
        [
            "the",
            "a",
            "room",
            "was",
            "clean",
            "staff",
            "very",
            "friendly,",
            "but",
            "noise",
            "at",
            "night;",
            '"great"',
            "view\nslow",
            "lift",
        ]
    )
    columns["review"] = [" ".join(rng.choice(words, rng.integers(6, 20))) for _ in label]
    columns["bought"] = _words(label, "good", "bad")
    return OddTable(
        name="reviews",
        file="reviews.csv",
        write=_writes(_csv(columns, "|")),
        options=("--label", "bought", "--positive", "good"),
        roles={**_PLAIN, "review": "text"},
    )


def odd_names() -> OddTable:
    columns, label, rng = _plain(19)
    n = len(label)
    renamed = {"50% (of $)": columns["amount"], "X": columns["visits"], "x": np.round(rng.normal(0, 1, n), 3)}
    renamed |= {"größe": columns["city"], "_flag": (rng.random(n) < 0.5).astype(int), "a/b": rng.integers(0, 90, n)}
    renamed["class"] = label.astype(int)
    return OddTable(
        name="odd_names",
        file="2024 data, final (v2).csv",
        write=_writes(_csv(renamed)),
        options=("--label", "class"),
        roles=_roles(numeric=["50% (of $)", "X", "x", "a/b"], category=["größe", "_flag"], label="class"),
    )


def folder() -> OddTable:
    parts = []
    for month in range(3):
        columns, label, _ = _plain(20 + month, 900)
        columns["bought"] = label.astype(int)
        parts.append(_csv(columns))

    def write(path: Path) -> None:
        path.mkdir()
        for month, text in enumerate(parts, 1):
            (path / f"2024-{month:02d}.csv").write_text(text, encoding="utf-8")

    return OddTable(name="folder", file="sales/", write=write, options=("--label", "bought"), roles=_PLAIN)


def rows_per_span() -> OddTable:
    columns, label, _ = _plain(23, 5_200)
    columns["bought"] = label.astype(int)
    return OddTable(
        name="rows_per_span",
        file="stream.csv",
        write=_writes(_csv(columns)),
        options=("--label", "bought", "--rows-per-span", "1000"),
        roles=_PLAIN,
    )


def sensors() -> OddTable:
    columns, label, rng = _plain(24, 6_000)
    n = len(label)
    moments = np.sort(np.datetime64("2024-03-01T00:00:00") + rng.integers(0, 10 * 86_400, n))
    columns = {"read_at": [f"{moment}.{rng.integers(0, 999):03d}Z" for moment in moments], **columns}
    columns["reading_id"] = np.arange(5_000_000_000, 5_000_000_000 + n)
    columns["bought"] = label.astype(int)
    return OddTable(
        name="sensors",
        file="sensors.csv",
        write=_writes(_csv(columns)),
        options=("--label", "bought", "--time", "read_at", "--every", "day"),
        roles={**_PLAIN, "read_at": "time", "reading_id": "identifier"},
    )


def many_values() -> OddTable:
    columns, label, rng = _plain(25, 6_000)
    n = len(label)
    columns["zip"] = [f"{code:05d}" for code in rng.integers(501, 99_950, n) // 7 * 7 % 12_000]
    columns["agent"] = [f"agent-{i}" for i in rng.integers(0, 700, n)]
    columns["phone"] = [f"+49 {rng.integers(100, 999)} {rng.integers(1_000_000, 9_999_999)}" for _ in range(n)]
    columns["bought"] = label.astype(int)
    return OddTable(
        name="many_values",
        file="many.csv",
        write=_writes(_csv(columns)),
        options=("--label", "bought"),
        roles={**_PLAIN, "zip": "hashed", "agent": "category", "phone": "personal"},
    )


def nothing_columns() -> OddTable:
    columns, label, rng = _plain(26)
    n = len(label)
    columns |= {"country": ["CH"] * n, "empty": [""] * n, "na": ["n/a"] * n, "rare": _gaps(rng, [7] * n, 0.9)}
    columns["bought"] = label.astype(int)
    return OddTable(
        name="nothing_columns",
        file="nothing.csv",
        write=_writes(_csv(columns)),
        options=("--label", "bought"),
        roles={**_PLAIN, **_roles(constant=["country", "empty", "na", "rare"])},
    )


def swiss() -> OddTable:
    columns, label, rng = _plain(27, 4_000)
    n = len(label)
    columns["amount"] = [f"CHF {value * 40:,.2f}".replace(",", "'") for value in columns["amount"]]
    columns["joined"] = [
        day.strftime("%d %b %Y") for day in rng.permutation(_days(rng, "2010-01-01", 3_000, n)).tolist()
    ]
    columns["month_end"] = [day.strftime("%m/%d/%Y") for day in _days(rng, "2023-01-01", 364, n).tolist()]
    columns["bought"] = label.astype(int)
    return OddTable(
        name="swiss",
        file="swiss.csv",
        write=_writes(_csv(columns)),
        options=("--label", "bought", "--time", "month_end", "--every", "quarter"),
        roles={**_PLAIN, "joined": "date", "month_end": "time"},
    )


def credit_codes() -> OddTable:
    rng = np.random.default_rng(28)
    n = 1_000
    duration = rng.integers(4, 72, n)
    purpose = rng.choice(["A40", "A41", "A42", "A43", "A46", "A49"], n)
    label = _yes(rng, duration / 20 + (purpose == "A40"), 0.3)
    columns = {
        "checking": rng.choice(["A11", "A12", "A13", "A14"], n),
        "duration": duration,
        "purpose": purpose,
        "amount": np.round(rng.lognormal(7.8, 0.7, n)).astype(int),
        "age": rng.integers(19, 75, n),
        "foreign": rng.choice(["A201", "A202"], n, p=[0.96, 0.04]),
        "risk": _words(label, "bad", "good"),
    }
    return OddTable(
        name="credit_codes",
        file="german.data",
        write=_writes(_csv(columns)),
        options=("--label", "risk", "--positive", "bad"),
        roles=_roles(numeric=["duration", "amount", "age"], category=["checking", "purpose", "foreign"], label="risk"),
    )


def bikes() -> OddTable:
    rng = np.random.default_rng(29)
    n = 7_000
    day = _days(rng, "2012-01-01", 365, n)
    hour = rng.integers(0, 24, n)
    label = _yes(rng, np.cos((hour - 17) / 24 * 2 * np.pi) * 2, 0.4)
    columns = {
        "dteday": day.astype(str),
        "mnth_name": [date.strftime("%B") for date in day.tolist()],
        "hour": hour,
        "weekday": [(date.weekday() + 1) % 7 for date in day.tolist()],
        "holiday": (rng.random(n) < 0.03).astype(int),
        "temp": np.round(rng.uniform(-5, 35, n), 1),
        "busy": label.astype(int),
    }
    return OddTable(
        name="bikes",
        file="bikes.csv",
        write=_writes(_csv(columns)),
        options=("--label", "busy", "--time", "dteday", "--every", "month"),
        roles=_roles(
            time="dteday",
            category=["mnth_name", "holiday"],
            cyclical=["hour", "weekday"],
            numeric="temp",
            label="busy",
        ),
    )


def small() -> OddTable:
    columns, label, _ = _plain(30, 150)
    columns["bought"] = _words(label, "Y", "N")
    return OddTable(
        name="small",
        file="small.csv",
        write=_writes(_csv(columns)),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


TABLES: tuple[Callable[[], OddTable], ...] = (
    *(churn, loans_excel, loans_us, diamonds, police_stops, titanic, breast_cancer, wine, digits, caravan),
    *(ratings, storms, utf16, utf8_bom, gzipped_pandas, parquet_types, json_lines, r_row_names, excel_preamble),
    *(report_title, reviews, odd_names, folder, rows_per_span, sensors, many_values, nothing_columns, swiss),
    *(credit_codes, bikes, small),
)
