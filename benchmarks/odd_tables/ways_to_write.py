"""One small table, in the ways that people and programs write tables."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.odd_tables.table import (
    Columns,
    OddTable,
    as_words,
    csv_text,
    draw_yes,
    random_days,
    roles_of,
    with_gaps,
    writes,
)


def _plain(seed: int, n: int = 2_000) -> tuple[Columns, np.ndarray, np.random.Generator]:
    """A small table that others dress up: a number, a count, a category, and the label they cause."""
    rng = np.random.default_rng(seed)
    amount = np.round(rng.lognormal(4, 0.8, n), 2)
    visits = rng.integers(0, 40, n)
    city = rng.choice(["Köln", "Zürich", "Genève", "Málaga"], n)
    label = draw_yes(rng, np.log(amount) + visits / 15 + (city == "Zürich"), 0.35)
    return {"amount": amount, "visits": visits, "city": city}, label, rng


_PLAIN = roles_of(numeric=["amount", "visits"], category="city", label="bought")


def utf16() -> OddTable:
    columns, label, _ = _plain(10)
    columns["bought"] = as_words(label, "oui", "non")
    return OddTable(
        name="utf16",
        file="export.txt",
        write=writes(csv_text(columns, "\t", "\r\n"), "utf-16"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def utf8_bom() -> OddTable:
    columns, label, rng = _plain(11)
    columns["visits"] = with_gaps(rng, [f"{visits}.0" for visits in columns["visits"]], 0.1, "NA")
    columns["city"] = with_gaps(rng, columns["city"], 0.05, "-")
    columns["bought"] = label.astype(float)
    return OddTable(
        name="utf8_bom",
        file="bom.csv",
        write=writes(csv_text(columns), "utf-8-sig"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def gzipped_pandas() -> OddTable:
    columns, label, _ = _plain(12)
    text = csv_text({"": np.arange(len(label)), **columns, "bought": [str(bool(flag)) for flag in label]})
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
    signup = random_days(rng, "2019-01-01", 900, n)
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
            **roles_of(category="member", date="signup", time="seen", multi_valued="tags", unsupported="place"),
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
        write=writes("\n".join(lines)),
        options=("--label", "bought"),
        roles={**_PLAIN, "returning": "category"},
    )


def r_row_names() -> OddTable:
    columns, label, _ = _plain(15)
    columns["bought"] = as_words(label, "yes", "no")
    header, *rows = csv_text(columns).splitlines()
    text = "\n".join(
        [",".join(f'"{name}"' for name in header.split(",")), *(f'"{i}",{row}' for i, row in enumerate(rows, 1))]
    )
    return OddTable(
        name="r_row_names",
        file="from_r.csv",
        write=writes(text + "\n"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def excel_preamble() -> OddTable:
    columns, label, _ = _plain(16)
    columns["amount"] = [str(value).replace(".", ",") for value in columns["amount"]]
    columns["bought"] = as_words(label, "Ja", "Nein")
    text = "sep=;\r\n" + csv_text(columns, ";", "\r\n")
    return OddTable(
        name="excel_preamble",
        file="Export (1).csv",
        write=writes(text, "cp1252"),
        options=("--label", "bought"),
        roles=_PLAIN,
    )


def report_title() -> OddTable:
    columns, label, _ = _plain(17)
    columns["bought"] = label.astype(int)
    text = "Sales report,,,\n,,,\n" + csv_text(columns)
    return OddTable(
        name="report_title",
        file="report.csv",
        write=writes(text),
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
    columns["bought"] = as_words(label, "good", "bad")
    return OddTable(
        name="reviews",
        file="reviews.csv",
        write=writes(csv_text(columns, "|")),
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
        write=writes(csv_text(renamed)),
        options=("--label", "class"),
        roles=roles_of(numeric=["50% (of $)", "X", "x", "a/b"], category=["größe", "_flag"], label="class"),
    )


def folder() -> OddTable:
    parts = []
    for month in range(3):
        columns, label, _ = _plain(20 + month, 900)
        columns["bought"] = label.astype(int)
        parts.append(csv_text(columns))

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
        write=writes(csv_text(columns)),
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
        write=writes(csv_text(columns)),
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
        write=writes(csv_text(columns)),
        options=("--label", "bought"),
        roles={**_PLAIN, "zip": "hashed", "agent": "category", "phone": "personal"},
    )


def nothing_columns() -> OddTable:
    columns, label, rng = _plain(26)
    n = len(label)
    columns |= {"country": ["CH"] * n, "empty": [""] * n, "na": ["n/a"] * n, "rare": with_gaps(rng, [7] * n, 0.9)}
    columns["bought"] = label.astype(int)
    return OddTable(
        name="nothing_columns",
        file="nothing.csv",
        write=writes(csv_text(columns)),
        options=("--label", "bought"),
        roles={**_PLAIN, **roles_of(constant=["country", "empty", "na", "rare"])},
    )


def swiss() -> OddTable:
    columns, label, rng = _plain(27, 4_000)
    n = len(label)
    columns["amount"] = [f"CHF {value * 40:,.2f}".replace(",", "'") for value in columns["amount"]]
    columns["joined"] = [
        day.strftime("%d %b %Y") for day in rng.permutation(random_days(rng, "2010-01-01", 3_000, n)).tolist()
    ]
    columns["month_end"] = [day.strftime("%m/%d/%Y") for day in random_days(rng, "2023-01-01", 364, n).tolist()]
    columns["bought"] = label.astype(int)
    return OddTable(
        name="swiss",
        file="swiss.csv",
        write=writes(csv_text(columns)),
        options=("--label", "bought", "--time", "month_end", "--every", "quarter"),
        roles={**_PLAIN, "joined": "date", "month_end": "time"},
    )


def small() -> OddTable:
    columns, label, _ = _plain(30, 150)
    columns["bought"] = as_words(label, "Y", "N")
    return OddTable(
        name="small",
        file="small.csv",
        write=writes(csv_text(columns)),
        options=("--label", "bought"),
        roles=_PLAIN,
    )
