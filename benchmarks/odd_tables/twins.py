"""Twins of tables that are common, such as telecom churn, loans and police stops, each with a yes or no."""

from __future__ import annotations

import numpy as np

from benchmarks.odd_tables.table import (
    Columns,
    OddTable,
    as_words,
    csv_text,
    draw_yes,
    german,
    random_days,
    roles_of,
    with_gaps,
    writes,
)


def churn() -> OddTable:
    rng = np.random.default_rng(1)
    n = 3_000
    tenure, monthly = rng.integers(0, 73, n), np.round(rng.uniform(18, 120, n), 2)
    contract = rng.choice(["Month-to-month", "One year", "Two year"], n)
    label = draw_yes(rng, -tenure / 24 + (contract == "Month-to-month") * 1.5 + monthly / 60, 0.27)
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
        "Churn": as_words(label, "Yes", "No"),
    }
    roles = roles_of(
        identifier="customerID",
        category=["gender", "SeniorCitizen", "Partner", "InternetService", "Contract"],
        numeric=["tenure", "MonthlyCharges", "TotalCharges"],
        label="Churn",
    )
    return OddTable(
        name="churn", file="churn.csv", write=writes(csv_text(columns)), options=("--label", "Churn"), roles=roles
    )


def _loans(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.random.Generator]:
    rng = np.random.default_rng(seed)
    n = 6_000
    values = {
        "issued": random_days(rng, "2014-01-01", 360, n),
        "amount": np.round(rng.lognormal(9, 0.7, n), 2),
        "rate": np.round(rng.uniform(5, 25, n), 2),
        "grade": rng.choice(list("ABCDEFG"), n),
        "income": np.round(rng.lognormal(11, 0.4, n)),
        "home": rng.choice(["OWN", "RENT", "MORTGAGE"], n),
    }
    label = draw_yes(rng, values["rate"] / 8 - np.log(values["income"]) * 2 + np.log(values["amount"]), 0.22)
    return label, values, rng


def loans_excel() -> OddTable:
    label, values, rng = _loans(2)
    n = len(label)
    columns = {
        "Kreditnummer": [10_000_000 + int(i) for i in rng.permutation(n)],
        "issue_date": [day.strftime("%d.%m.%Y") for day in values["issued"].tolist()],
        "Betrag (€)": [f"{german(value)} €" for value in values["amount"]],
        "Zinssatz": [f"{rate:.2f} %".replace(".", ",") for rate in values["rate"]],
        "Wohnverhältnis": values["home"],
        "Einkommen": [german(value) for value in values["income"]],
        "recoveries": [german(abs(rng.normal(900, 200))) if bad else "" for bad in label],
        "Loan Status": [
            rng.choice(["Charged Off", "Default"]) if bad else rng.choice(["Fully Paid", "Current"]) for bad in label
        ],
    }
    roles = roles_of(
        identifier="Kreditnummer",
        time="issue_date",
        numeric=["Betrag (€)", "Zinssatz", "Einkommen"],
        category="Wohnverhältnis",
        leak="recoveries",
        label="Loan Status",
    )
    options = "--label,Loan Status,--positive,Charged Off,Default,--time,issue_date,--every,month"
    text = csv_text(columns, ";", "\r\n")
    return OddTable(
        name="loans_excel",
        file="Kredite 2014.csv",
        write=writes(text, "cp1252"),
        options=tuple(options.split(",")),
        roles=roles,
    )


def loans_us() -> OddTable:
    label, values, rng = _loans(3)
    columns = {
        "loan_amnt": [f"${value:,.2f}" for value in values["amount"]],
        "int_rate": [f"{rate:.2f}%" for rate in values["rate"]],
        "grade": values["grade"],
        "annual_inc": with_gaps(rng, [f"${value:,.0f}" for value in values["income"]], 0.03, "n/a"),
        "issue_d": [day.strftime("%b-%Y") for day in values["issued"].tolist()],
        "earliest_cr_line": [
            day.strftime("%b-%Y") for day in random_days(rng, "1990-01-01", 7000, len(label))[::-1].tolist()
        ],
        "bad_loan": label.astype(int),
    }
    rng.shuffle(columns["earliest_cr_line"])
    roles = roles_of(
        numeric=["loan_amnt", "int_rate", "annual_inc"],
        category="grade",
        time="issue_d",
        date="earliest_cr_line",
        label="bad_loan",
    )
    return OddTable(
        name="loans_us",
        file="loans.csv",
        write=writes(csv_text(columns)),
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
        "expensive": as_words(price > 5_000, "TRUE", "FALSE"),
    }
    roles = roles_of(
        numeric=["carat", "depth", "table"], category=["cut", "color", "clarity"], leak="price", label="expensive"
    )
    return OddTable(
        name="diamonds",
        file="diamonds.csv",
        write=writes(csv_text(columns)),
        options=("--label", "expensive"),
        roles=roles,
    )


def police_stops() -> OddTable:
    rng = np.random.default_rng(5)
    n = 6_000
    day = random_days(rng, "2015-01-01", 180, n)
    violation = rng.choice(["Speeding", "Equipment", "Moving violation", "Registration", "Seat belt", "Other"], n)
    age = rng.integers(16, 80, n)
    label = draw_yes(rng, (violation == "Moving violation") * 1.2 - age / 30, 0.12)
    columns = {
        "raw_row_number": np.arange(1, n + 1),
        "stop_date": day.astype(str),
        "stop_time": [f"{h:02d}:{m:02d}" for h, m in zip(rng.integers(0, 24, n), rng.integers(0, 60, n), strict=True)],
        "county_name": [""] * n,
        "driver_age": with_gaps(rng, age, 0.05),
        "driver_race": rng.choice(["White", "Black", "Hispanic", "Asian"], n),
        "violation": violation,
        "search_conducted": as_words(rng.random(n) < 0.1, "TRUE", "FALSE"),
        "officer_id": rng.integers(1_000, 1_180, n),
        "arrest_reason": ["warrant" if flag else "" for flag in label],
        "is_arrested": as_words(label, "TRUE", "FALSE"),
    }
    roles = roles_of(
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
        write=writes(csv_text(columns)),
        options=("--label", "is_arrested", "--time", "stop_date", "--every", "month"),
        roles=roles,
    )


def titanic() -> OddTable:
    rng = np.random.default_rng(6)
    n = 891
    sex, pclass = rng.choice(["male", "female"], n, p=[0.65, 0.35]), rng.integers(1, 4, n)
    label = draw_yes(rng, (sex == "female") * 2.0 - pclass * 0.6, 0.38)
    first = rng.choice(["John", "Mary", "Anna", "William", "Emma", "Karl"], n)
    columns = {
        "PassengerId": np.arange(1, n + 1),
        "Survived": label.astype(int),
        "Pclass": pclass,
        "Name": [f"{''.join(rng.choice(list('abcdeiorstln'), 7)).title()}, Mr. {name}" for name in first],
        "Sex": sex,
        "Age": with_gaps(rng, np.round(rng.uniform(1, 75, n), 1), 0.2),
        "SibSp": rng.integers(0, 6, n),
        "Parch": rng.integers(0, 5, n),
        "Fare": np.round(rng.lognormal(3, 1, n), 4),
        "Embarked": with_gaps(rng, rng.choice(["S", "C", "Q"], n), 0.003),
        "boat": [str(rng.integers(1, 17)) if flag else "" for flag in label],
    }
    roles = roles_of(
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
        write=writes(csv_text(columns)),
        options=("--label", "Survived"),
        roles=roles,
    )


def caravan() -> OddTable:
    rng = np.random.default_rng(7)
    n = 4_000
    codes = {f"M{i:02d}": rng.integers(0, 10, n) for i in range(1, 31)}
    label = draw_yes(rng, sum(codes[f"M{i:02d}"] for i in (3, 8, 21)) * 0.2, 0.1)
    columns: Columns = {**codes, "CARAVAN": label.astype(int)}
    return OddTable(
        name="caravan",
        file="caravan.tsv",
        write=writes(csv_text(columns, "\t")),
        options=("--label", "CARAVAN"),
        roles=roles_of(numeric=list(codes), label="CARAVAN"),
    )


def ratings() -> OddTable:
    rng = np.random.default_rng(8)
    n = 8_000
    genres = np.array(["Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi", "War"])
    movie = rng.integers(1, 900, n)
    user = rng.integers(1, 600, n)
    runtime = 80 + movie % 70
    seconds = np.sort(rng.integers(1_420_070_400, 1_546_300_800, n))
    label = draw_yes(rng, runtime / 20 + rng.normal(0, 0.3, n), 0.5)
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
        write=writes(csv_text(columns)),
        options=("--label", "liked", "--time", "timestamp", "--every", "year"),
        roles=roles_of(
            category=["userId", "movieId"], multi_valued="genres", numeric="runtime", time="timestamp", label="liked"
        ),
    )


def storms() -> OddTable:
    rng = np.random.default_rng(9)
    n = 5_000
    wind = rng.integers(2, 33, n) * 5
    pressure = 1015 - wind * 0.7 + rng.normal(0, 6, n)
    label = draw_yes(rng, -pressure / 10, 0.3)
    columns = {
        "": np.arange(n),
        "storm": rng.choice(["Amy", "Bob", "Carla", "Dean", "Eva", "Fred", "Gina", "Hugo"], n),
        "year": np.sort(rng.integers(2010, 2020, n)),
        "month": rng.integers(1, 13, n),
        "hour": rng.choice([0, 6, 12, 18], n),
        "lat": np.round(rng.uniform(8, 50, n), 1),
        "long": np.round(rng.uniform(-100, -10, n), 1),
        "pressure": np.round(pressure).astype(int),
        "hurricane": as_words(label, "y", "n"),
    }
    return OddTable(
        name="storms",
        file="storms.csv",
        write=writes(csv_text(columns)),
        options=("--label", "hurricane", "--time", "year", "--every", "year"),
        roles=roles_of(
            category="storm",
            time="year",
            cyclical=["month", "hour"],
            numeric=["lat", "long", "pressure"],
            label="hurricane",
        ),
    )


def credit_codes() -> OddTable:
    rng = np.random.default_rng(28)
    n = 1_000
    duration = rng.integers(4, 72, n)
    purpose = rng.choice(["A40", "A41", "A42", "A43", "A46", "A49"], n)
    label = draw_yes(rng, duration / 20 + (purpose == "A40"), 0.3)
    columns = {
        "checking": rng.choice(["A11", "A12", "A13", "A14"], n),
        "duration": duration,
        "purpose": purpose,
        "amount": np.round(rng.lognormal(7.8, 0.7, n)).astype(int),
        "age": rng.integers(19, 75, n),
        "foreign": rng.choice(["A201", "A202"], n, p=[0.96, 0.04]),
        "risk": as_words(label, "bad", "good"),
    }
    return OddTable(
        name="credit_codes",
        file="german.data",
        write=writes(csv_text(columns)),
        options=("--label", "risk", "--positive", "bad"),
        roles=roles_of(
            numeric=["duration", "amount", "age"], category=["checking", "purpose", "foreign"], label="risk"
        ),
    )


def bikes() -> OddTable:
    rng = np.random.default_rng(29)
    n = 7_000
    day = random_days(rng, "2012-01-01", 365, n)
    hour = rng.integers(0, 24, n)
    label = draw_yes(rng, np.cos((hour - 17) / 24 * 2 * np.pi) * 2, 0.4)
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
        write=writes(csv_text(columns)),
        options=("--label", "busy", "--time", "dteday", "--every", "month"),
        roles=roles_of(
            time="dteday",
            category=["mnth_name", "holiday"],
            cyclical=["hour", "weekday"],
            numeric="temp",
            label="busy",
        ),
    )
