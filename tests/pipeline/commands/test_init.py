"""`init` from outside: what it prints, what it writes, and what it refuses."""

import datetime
import json
import math
import random
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import local_runner
from pipeline import REPOSITORY
from pipeline.config.dataset import load_dataset
from pipeline.config.schema import read_schema

# Each test works in a folder of its own.
PROGRAM = f"python {REPOSITORY}/local_runner.py"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _init(capsys, *words):
    status = local_runner.main(["init", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def _customers(rows=400):
    """Customers by month: tenure lowers the chance of churn; `refund` is filled for those who left only."""
    chance = random.Random(7)
    lines = ["id;joined;tenure;plan;share;mail;note;refund;Churn"]
    for i in range(rows):
        tenure = chance.randrange(0, 60)
        left = chance.random() < 0.7 - tenure / 100
        month = 1 + i * 3 // rows
        plan = chance.choice(["basic", "plus"])
        refund = f"{chance.randrange(5, 90)},50 €" if left else ""
        fields = [f"C-{i:05d}", f"{chance.randrange(1, 29):02d}.{month:02d}.2024", tenure, plan]
        fields += [f"{chance.randrange(1, 99)} %", f"c{i}@mail.org", "same", refund, "Yes" if left else "No"]
        lines.append(";".join(map(str, fields)))
    return "\r\n".join(lines) + "\r\n"


_CUT = ("--label", "Churn", "--time", "joined", "--every", "month")


def test_folder_is_one_that_run_takes_and_the_file_stays(capsys):
    Path("Kunden.csv").write_bytes(_customers().encode("cp1252"))

    status, out, _ = _init(capsys, "Kunden.csv", *_CUT)

    assert status == 0
    assert f"Next: {PROGRAM} run --dataset kunden" in out
    assert Path("Kunden.csv").read_bytes() == _customers().encode("cp1252")
    dataset = load_dataset("kunden")
    assert dataset.label.text == 'Churn == "Yes"'
    assert dataset.features.numeric == ("tenure", "share")
    assert dataset.features.categorical == ("plan",)
    assert sorted(dataset.never) == ["id", "joined", "mail", "note", "refund"]
    assert sorted(path.name for path in Path().iterdir()) == ["Kunden.csv", "kunden"]
    assert Path("kunden/dataset.toml").read_text(encoding="utf-8").startswith("#:schema ./dataset.schema.json\n")
    assert Path("kunden/dataset.schema.json").is_file()


def test_roles_have_their_reasons_and_figures(capsys):
    Path("k.csv").write_text(_customers(), encoding="utf-8")

    status, out, _ = _init(capsys, "k.csv", *_CUT, "--json")

    value = json.loads(out)
    assert status == 0
    roles = {column["name"]: column for column in value["columns"]}
    assert {name: column["role"] for name, column in roles.items()} == {
        "id": "identifier",
        "joined": "time",
        "tenure": "numeric",
        "plan": "category",
        "share": "numeric",
        "mail": "personal",
        "note": "constant",
        "refund": "leak",
        "Churn": "label",
    }
    assert "100.0% of them with label 1" in roles["refund"]["why"]
    assert roles["share"]["why"] == "whole numbers from 1 to 98; per cent: 12 means 12 %; written with decimal comma"
    assert any(note.startswith("warning: 'mail': its values look like e-mail") for note in value["notes"])
    assert value["label"] == {
        "column": "Churn",
        "task": "binary",
        "why": "two values",
        "positive": ["Yes"],
        "classes": [],
        "transform": "none",
    }
    assert value["next"] == f"{PROGRAM} run --dataset k"


def test_spans_hold_the_rows_of_their_month_as_typed_values(capsys):
    Path("k.csv").write_text(_customers(), encoding="utf-8")

    _, out, _ = _init(capsys, "k.csv", *_CUT, "--json")

    spans = json.loads(out)["spans"]
    assert [(span["span"], span["begins"], span["rows"]) for span in spans] == [
        (1, "2024-01", 134),
        (2, "2024-02", 133),
        (3, "2024-03", 133),
    ]
    table = pq.read_table("k/spans/span-2/data.parquet")
    assert table.num_rows == 133
    # 2024-02-01 and 2024-03-01, 00:00 UTC.
    assert all(1706745600 <= seconds < 1709251200 for seconds in table["joined"].to_pylist())
    row = _customers().splitlines()[1].split(";")
    first = pq.read_table("k/spans/span-1/data.parquet").slice(0, 1).to_pylist()[0]
    assert (first["id"], first["tenure"], first["Churn"]) == (row[0], int(row[2]), row[8])


def test_schema_is_of_all_rows_and_not_their_limits(capsys):
    Path("k.csv").write_text(_customers(), encoding="utf-8")
    _init(capsys, "k.csv", *_CUT)

    features = {feature.name: feature for feature in read_schema(Path("k/schema.pbtxt")).feature}

    assert list(features["plan"].string_domain.value) == ["basic", "plus"]
    assert round(features["plan"].distribution_constraints.min_domain_mass, 2) == 0.99
    # A tenure is a count: never below 0, and nothing says how long it can be.
    assert features["tenure"].int_domain.min == 0
    assert not features["tenure"].int_domain.HasField("max")
    assert round(features["tenure"].presence.min_fraction, 2) == 0.99
    assert not features["refund"].HasField("presence")


def test_without_label_the_candidates_and_the_next_command_are_listed(capsys):
    Path("my file.csv").write_text(_customers(), encoding="utf-8")

    status, out, err = _init(capsys, "my file.csv")

    assert status == 2
    assert f"{PROGRAM} init 'my file.csv' --label Churn" in out
    assert f"{PROGRAM} init 'my file.csv' --label plan --positive plus" in out
    assert out.index("--label Churn") < out.index("--label plan")
    assert err == "error: my file.csv: which column is to be predicted? Add --label.\n"
    assert not Path("my-file").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "churn"], "--label: there is no column 'churn'. Did you mean 'Churn'?"),
        (["--label", "note"], "every row has the one value 'same', so there is nothing to predict."),
        (["--label", "id"], "nearly every row has a value of its own, so it is no label."),
        (["--label", "joined"], "it holds dates, and a date is not predicted."),
        (["--label", "mail", "--task", "multiclass"], "a model here tells at most 50 classes apart."),
        (["--label", "plan", "--task", "regression"], "this column holds texts. Values: "),
        (["--label", "plan", "--positive", "plus", "--task", "multiclass"], "of --task binary. Received: --task multi"),
        (["--label", "refund"], "the label is missing in"),
        (["--label", "plan"], 'it is not clear which of its two values counts as 1. Add --positive "'),
        (["--label", "plan", "--positive", "gold"], "--positive 'gold': the column 'plan' has no such value."),
        (["--label", "plan", "--positive", "plus", "basic"], "every value of 'plan' counts as 1"),
        (["--label", "Churn", "--time", "joined"], "--time COLUMN and --every PERIOD belong together"),
        (["--label", "Churn", "--time", "plan", "--every", "day"], "--time 'plan': expected dates, such as 2024-03-31"),
        (["--label", "Churn", "--time", "tenure", "--every", "day"], "Received numbers from 0 to 59."),
        (["--label", "Churn", "--name", "Not Good"], "--name: expected 1 to 63 lower-case letters"),
        (["--label", "Churn", "--name", "taxi"], "A dataset 'taxi' ships with driftgate"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(capsys, words, message):
    Path("k.csv").write_text(_customers(), encoding="utf-8")

    status, out, err = _init(capsys, "k.csv", *words)

    assert status == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["k.csv"]


def test_several_classes_are_a_task_of_their_own_until_some_count_as_1(capsys):
    rows = "".join(f"{i % 17},{'ABC'[i % 3]}\n" for i in range(120))
    Path("k.csv").write_text("x,status\n" + rows, encoding="utf-8")

    status, out, _ = _init(capsys, "k.csv", "--label", "status", "--json")
    assert status == 0
    assert json.loads(out)["spans"] == [{"span": 1, "begins": "", "rows": 120, "classes": {"A": 40, "B": 40, "C": 40}}]
    dataset = load_dataset("k")
    assert (dataset.label.task, dataset.label.classes) == ("multiclass", ("A", "B", "C"))
    (label,) = (feature for feature in read_schema(Path("k/schema.pbtxt")).feature if feature.name == "status")
    assert list(label.string_domain.value) == ["A", "B", "C"]
    assert not label.HasField("distribution_constraints")  # A row of another class is refused, the first one too.
    assert "| 1 |  | 120 | `A`, 33.3% |\n" in Path("k/README.md").read_text(encoding="utf-8")

    words = ("--label", "status", "--positive", "A", "C", "--force", "--json")
    status, out, _ = _init(capsys, "k.csv", *words)
    assert status == 0
    assert json.loads(out)["spans"] == [{"span": 1, "begins": "", "rows": 120, "positive": 80}]
    assert load_dataset("k").label.positive == ("A", "C")


def test_a_number_is_predicted_as_one_or_as_classes(capsys):
    chance = random.Random(5)
    lines = ["rooms;paid;paid in cents;town;grade;id"]
    for i in range(300):
        rooms, town = chance.randrange(1, 8), chance.choice(["Bern", "Basel"])
        price = round(math.exp(rooms / 2 + chance.gauss(0, 0.8)), 2)
        lines.append(f"{rooms};{price:.2f} €;{price * 100:.0f};{town};{rooms * 2 % 5 + 1};{i + 1}".replace(".", ","))
    Path("flats.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    status, out, _ = _init(capsys, "flats.csv", "--label", "paid", "--json")
    value = json.loads(out)
    roles = {column["name"]: column for column in value["columns"]}
    assert status == 0
    assert (value["label"]["task"], value["label"]["transform"]) == ("regression", "log1p")
    assert roles["paid in cents"]["role"] == "leak"
    assert roles["id"]["role"] == "identifier"
    assert roles["paid"]["why"].startswith("named by --label; regression, numbers from ")
    dataset = load_dataset("flats")
    assert (dataset.label.task, dataset.label.transform) == ("regression", "log1p")
    paid = pq.read_table("flats/spans/span-1/data.parquet")["paid"].to_pylist()
    assert value["spans"] == [{"span": 1, "begins": "", "rows": 300, "mean": pytest.approx(sum(paid) / 300)}]

    _init(capsys, "flats.csv", "--label", "grade", "--name", "grades")
    assert load_dataset("grades").label.classes == (1, 2, 3, 4, 5)
    _init(capsys, "flats.csv", "--label", "grade", "--task", "regression", "--name", "as-number")
    assert load_dataset("as-number").label.task == "regression"


def test_again_shows_a_diff_and_writes_nothing_until_forced(capsys):
    Path("k.csv").write_text(_customers(), encoding="utf-8")
    _init(capsys, "k.csv", *_CUT)
    Path("k/notes.txt").write_text("mine", encoding="utf-8")
    edited = Path("k/dataset.toml").read_text(encoding="utf-8").replace("window = 4", "window = 9")
    Path("k/dataset.toml").write_text(edited, encoding="utf-8")

    status, out, err = _init(capsys, "k.csv", *_CUT)
    assert status == 2
    assert "-window = 9" in out
    assert "+window = 4" in out
    assert "nothing was written. To replace it:\n" in err
    assert Path("k/dataset.toml").read_text(encoding="utf-8") == edited

    printed = shlex.split(err.splitlines()[-1])
    assert printed == [*shlex.split(PROGRAM), "init", "k.csv", *_CUT, "--force"]
    status, _, _ = _init(capsys, *printed[3:])
    assert status == 0
    assert "window = 4" in Path("k/dataset.toml").read_text(encoding="utf-8")
    assert Path("k/notes.txt").read_text(encoding="utf-8") == "mine"

    status, out, _ = _init(capsys, "k.csv", *_CUT)
    assert status == 0
    assert "k is there already and says the same; nothing was written." in out
    assert sorted(path.name for path in Path().iterdir()) == ["k", "k.csv"]


def test_a_model_to_edit_is_written_and_named_and_an_edited_one_is_kept(capsys):
    Path("k.csv").write_text(_customers(), encoding="utf-8")

    status, out, _ = _init(capsys, "k.csv", *_CUT, "--own-model")
    assert status == 0
    assert "Wrote k: dataset.toml, schema.pbtxt, README.md, model.py and the spans." in out
    assert load_dataset("k").own.functions == {"build_model", "metrics"}

    Path("k/model.py").write_text("def build_model(spec):\n    raise NotImplementedError\n", encoding="utf-8")
    Path("k/dataset.toml").write_text(Path("k/dataset.toml").read_text(encoding="utf-8") + "# mine\n")
    status, out, _ = _init(capsys, "k.csv", *_CUT, "--own-model", "--force")
    assert status == 0
    assert "Wrote k: dataset.toml, schema.pbtxt, README.md and the spans." in out
    assert "Kept k/model.py, which was there and may be edited." in out
    assert Path("k/model.py").read_text(encoding="utf-8").endswith("raise NotImplementedError\n")

    Path("k/model.py").unlink()
    status, out, _ = _init(capsys, "k.csv", *_CUT, "--own-model")
    assert status == 2
    assert "+ model.py" in out.splitlines()
    status, out, _ = _init(capsys, "k.csv", *_CUT, "--own-model", "--force")
    assert status == 0
    assert "README.md, model.py and the spans." in out

    status, out, _ = _init(capsys, "k.csv", *_CUT, "--own-model", "--force")
    assert status == 0
    assert "k is there already and says the same; nothing was written." in out


def test_a_folder_gets_a_model_to_edit_later(capsys):
    Path("k.csv").write_text(_customers(), encoding="utf-8")
    _init(capsys, "k.csv", *_CUT)

    assert local_runner.main(["own-model", "--dataset", "k"]) == 0
    assert 'k/dataset.toml: [model] module = "model.py"' in capsys.readouterr().out
    assert load_dataset("k").own.functions == {"build_model", "metrics"}
    assert local_runner.main(["own-model", "--dataset", "k"]) == 2
    assert "module is 'model.py' already" in capsys.readouterr().err


def test_folder_that_is_no_dataset_is_left_alone(capsys):
    Path("k.csv").write_text(_customers(), encoding="utf-8")
    Path("k").mkdir()
    Path("k/thesis.txt").write_text("years", encoding="utf-8")

    status, _, err = _init(capsys, "k.csv", "--label", "Churn", "--force")

    assert status == 2
    assert "k: it is there already and holds no dataset. Name another folder with --out DIR." in err
    assert [path.name for path in Path("k").iterdir()] == ["thesis.txt"]


def test_interrupted_init_leaves_nothing(capsys, monkeypatch):
    Path("k.csv").write_text(_customers(), encoding="utf-8")

    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.onboarding.onboard.propose", interrupt)
    status, _, _ = _init(capsys, "k.csv", *_CUT)

    assert status == 130
    assert [path.name for path in Path().iterdir()] == ["k.csv"]


def test_rows_are_cut_in_the_order_of_the_file_and_the_rest_joins_the_last_span(capsys):
    rows = "".join(f"{i},{i % 13},{i % 2}\n" for i in range(1, 241))
    Path("k.csv").write_text("n,x,y\n" + rows, encoding="utf-8")

    _, out, _ = _init(capsys, "k.csv", "--label", "y", "--rows-per-span", "100", "--json")

    assert [span["rows"] for span in json.loads(out)["spans"]] == [100, 140]
    assert "no time was named, so a span is not a period" in " ".join(json.loads(out)["notes"])
    assert pq.read_table("k/spans/span-2/data.parquet")["n"].to_pylist() == list(range(101, 241))


def test_periods_without_rows_keep_their_number_free(capsys):
    months = ["2023-11", "2023-12", "2024-03"]
    rows = "".join(f"{months[i % 3]}-05,{i % 7},{i // 3 % 2}\n" for i in range(90))
    Path("k.csv").write_text("day,x,y\n" + rows, encoding="utf-8")

    _, out, _ = _init(capsys, "k.csv", "--label", "y", "--time", "day", "--every", "month", "--json")

    spans = [(span["span"], span["begins"], span["rows"]) for span in json.loads(out)["spans"]]
    assert spans == [(1, "2023-11", 30), (2, "2023-12", 30), (5, "2024-03", 30)]


def test_weeks_begin_on_monday(capsys):
    # 2024-03-03 is a Sunday, 2024-03-04 a Monday.
    rows = "".join(f"2024-03-0{3 + i % 2} 12:30,{i % 7},{i // 3 % 2}\n" for i in range(60))
    Path("k.csv").write_text("at,x,y\n" + rows, encoding="utf-8")

    _, out, _ = _init(capsys, "k.csv", "--label", "y", "--time", "at", "--every", "week", "--json")

    assert [span["begins"] for span in json.loads(out)["spans"]] == ["2024-02-26", "2024-03-04"]


def test_rows_without_label_or_time_are_left_out_and_counted(capsys):
    rows = "".join(f"2024-03-0{1 + i % 9},{i % 7},{i // 3 % 2}\n" for i in range(200))
    Path("k.csv").write_text("day,x,y\n" + rows + "2024-03-01,5,\n,5,1\n", encoding="utf-8")

    _, out, _ = _init(capsys, "k.csv", "--label", "y", "--time", "day", "--every", "year", "--json")

    value = json.loads(out)
    assert (value["rows"], value["spans"][0]["rows"]) == (202, 200)
    assert "1 rows have no label and are left out." in value["notes"]
    assert "1 rows have no 'day' and are left out." in value["notes"]


def test_dates_lists_and_texts_are_features(capsys):
    chance = random.Random(3)
    words = ["the", "box", "came", "late", "and", "was", "broken", "fine", "good", "again"]
    lines = ["born,last seen,genres,review,bought"]
    for i in range(300):
        day = f"{chance.randrange(1, 29):02d}.{chance.randrange(1, 13):02d}.{chance.randrange(1950, 2005)}"
        seen = f"2024-{chance.randrange(1, 13):02d}-03 {chance.randrange(0, 24):02d}:30"
        genres = ";".join(chance.sample(["war", "drama", "crime", "sci fi", "comedy"], chance.randrange(1, 4)))
        review = " ".join(chance.choices(words, k=9))
        lines.append(f"{day},{seen},{genres},{review},{i % 2}")
    Path("shop.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    status, _, err = _init(capsys, "shop.csv", "--label", "bought", "--rows-per-span", 100, "--name", "mine")

    assert (status, err) == (0, "")
    features = load_dataset("./mine").features
    assert (features.dates, features.timestamps) == (("born",), ("last seen",))
    assert (dict(features.multivalued), dict(features.text)) == ({"genres": ";"}, {"review": 512})
    first = pq.read_table("mine/spans/span-1/data.parquet").slice(0, 1).to_pylist()[0]
    born, seen, *_ = lines[1].split(",")
    assert first["born"].strftime("%d.%m.%Y") == born
    assert first["last seen"].strftime("%Y-%m-%d %H:%M") == seen


def _calls(first, days, hour_matters):
    """Calls to a hotline: the later in the day the longer they wait; the weekday says nothing."""
    chance = random.Random(11)
    lines = ["called at,agents,minutes"]
    for day in range(days):
        for hour in range(24):
            wait = 5 + hour * hour_matters + chance.gauss(0, 4)
            when = first + datetime.timedelta(days=day, hours=hour, minutes=chance.randrange(60))
            lines.append(f"{when:%Y-%m-%d %H:%M},{chance.randrange(2, 9)},{wait:.1f}")
    return "\n".join(lines) + "\n"


def test_the_hour_of_the_time_is_a_feature_where_it_tells_something(capsys):
    Path("calls.csv").write_text(_calls(datetime.datetime(2024, 1, 1), 60, 1), encoding="utf-8")

    words = ("--label", "minutes", "--time", "called at")
    _, out, _ = _init(capsys, "calls.csv", *words, "--every", "month", "--json")

    # The variance of the hours is (24 ** 2 - 1) / 12 = 47.9, that of the noise 16: 75 % in all.
    value = json.loads(out)
    assert value["derived"] == {"called at_hour": "hour(`called at`)"}
    assert any("tells 7" in note and "of the label's variance" in note for note in value["notes"])
    dataset = load_dataset("calls")
    assert dataset.features.derived == {"called at_hour": "hour(`called at`)"}
    assert "called at" not in dataset.never


@pytest.mark.parametrize(("every", "hour_matters"), [("month", 0), ("hour", 1)])
def test_parts_of_the_time_that_tell_nothing_or_move_with_the_spans_are_none(capsys, every, hour_matters):
    # An hour holds one value, which would be another one in every span.
    Path("calls.csv").write_text(_calls(datetime.datetime(2024, 1, 1), 20, hour_matters), encoding="utf-8")

    words = ("--label", "minutes", "--time", "called at", "--every", every, "--json")
    _, out, _ = _init(capsys, "calls.csv", *words)

    assert json.loads(out)["derived"] == {}
    assert load_dataset("calls").never == ("called at",)
