"""`schema diff` shows what the newest span holds beyond the schema, and what it prints takes it in."""

import json
import shlex

import pytest

import local_runner

TOML = """name = "rides"
schema = "schema.pbtxt"
[spans]
data = "spans"
[label]
column = "tipped"
[features]
numeric = ["fare"]
categorical = ["payment"]
[serving]
model_name = "rides"
"""
SCHEMA = """# What a ride is.
feature { name: "fare" type: FLOAT float_domain { min: 0 max: 100 } }
feature {
  name: "payment"  # as the meter says
  type: BYTES
  string_domain { value: "Cash" value: "Card" }
}
feature { name: "company" type: BYTES }
feature { name: "tipped" type: INT }
"""
ROWS = "fare,payment,tipped,wait\n5,Cash,0,1.5\n120,Mobile,1,2\n101,Mobile,1,\n-3,Other,0,4\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my rides"
    for span, rows in ((1, "fare,payment,company,tipped\n5,Cash,x,0\n"), (2, ROWS)):
        (folder / "spans" / f"span-{span}").mkdir(parents=True)
        (folder / "spans" / f"span-{span}" / "data.csv").write_text(rows)
    (folder / "dataset.toml").write_text(TOML)
    (folder / "schema.pbtxt").write_text(SCHEMA)
    return folder


def run(capsys, *words):
    status = local_runner.main(["schema", *words, "--dataset", "my rides"])
    out, err = capsys.readouterr()
    return status, out, err


def test_diff_lists_columns_values_and_limits_with_their_rows(folder, capsys):
    status, out, _ = run(capsys, "diff", "--json")

    assert status == 0
    assert json.loads(out) == {
        "span": 2,
        "rows": 4,
        "beyond": [
            {"column": "wait", "kind": "column", "value": "FLOAT", "rows": 3, "accept": "wait:FLOAT"},
            {"column": "payment", "kind": "value", "value": "Mobile", "rows": 2, "accept": "payment=Mobile"},
            {"column": "payment", "kind": "value", "value": "Other", "rows": 1, "accept": "payment=Other"},
            {"column": "fare", "kind": "range", "value": "-3", "rows": 1, "accept": "fare=-3"},
            {"column": "fare", "kind": "range", "value": "120", "rows": 2, "accept": "fare=120"},
            {"column": "company", "kind": "absent", "value": "", "rows": 0, "accept": None},
        ],
    }


def test_each_printed_command_takes_its_part_in_and_nothing_is_left(folder, capsys):
    _, out, _ = run(capsys, "diff")
    commands = [shlex.split(line) for line in out.splitlines() if "local_runner.py schema " in line]

    assert len(commands) == 5
    for words in commands:
        assert local_runner.main(words[2:]) == 0
    capsys.readouterr()

    assert [one["kind"] for one in json.loads(run(capsys, "diff", "--json")[1])["beyond"]] == ["absent"]
    assert (
        (folder / "schema.pbtxt").read_text()
        == """# What a ride is.
feature { name: "fare" type: FLOAT float_domain { min: -3 max: 120 } }
feature {
  name: "payment"  # as the meter says
  type: BYTES
  string_domain { value: "Cash" value: "Card" value: "Mobile" value: "Other" }
}
feature { name: "company" type: BYTES }
feature { name: "tipped" type: INT }
feature {
  name: "wait"
  type: FLOAT
}
"""
    )


def test_accept_shows_its_change_and_all_is_all(folder, capsys):
    _, out, _ = run(capsys, "accept", "fare=120")
    assert '-feature { name: "fare" type: FLOAT float_domain { min: 0 max: 100 } }\n' in out
    assert '+feature { name: "fare" type: FLOAT float_domain { min: 0 max: 120 } }\n' in out

    assert run(capsys, "accept", "--all")[0] == 0
    assert [one["kind"] for one in json.loads(run(capsys, "diff", "--json")[1])["beyond"]] == ["absent"]


def test_an_earlier_span_can_be_looked_at(folder, capsys):
    _, out, _ = run(capsys, "diff", "--span", "1")

    assert out == "Span 1, 1 rows: nothing is beyond my rides/schema.pbtxt.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("accept",), "schema accept needs COLUMN=VALUE, or --all for all that `schema diff` shows."),
        (
            ("accept", "fare=1e9", "nothing=1"),
            "expected COLUMN=VALUE of a column that the schema has, or NEW_COLUMN:INT",
        ),
        (("accept", "fare=much"), "'fare' holds numbers. Received: 'much'."),
        (("accept", "fare=50"), "50 lies within the limits of 'fare' already."),
        (("accept", "company=x"), "'company' has no closed domain of texts"),
        (("diff", "fare=1"), "schema diff only looks. To take something in: "),
        (("diff", "--span", "9"), "Span 9 does not match"),
    ],
)
def test_a_refusal_is_one_line_and_the_schema_stays(folder, capsys, words, said):
    status, _, err = run(capsys, *words)

    assert status == 2
    assert said in err
    assert (folder / "schema.pbtxt").read_text() == SCHEMA
