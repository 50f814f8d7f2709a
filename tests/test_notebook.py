"""The Python API without a training: values, errors in the commands' own words, and names that stay names."""

import datetime

import pandas as pd
import pytest

import driftgate

TOML = """name = "shop"
schema = "schema.pbtxt"
[spans]
data = "spans"
[label]
column = "y"
[features]
numeric = ["x"]
[serving]
model_name = "shop"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for span, rows in ((1, "x,y\n1,0\n"), (2, "x,y,extra\n1,0,a\n2,1,b\n")):
        (tmp_path / "shop" / "spans" / f"span-{span}").mkdir(parents=True)
        (tmp_path / "shop" / "spans" / f"span-{span}" / "data.csv").write_text(rows)
    (tmp_path / "shop" / "dataset.toml").write_text(TOML)
    (tmp_path / "shop" / "schema.pbtxt").write_text('feature { name: "x" type: INT } feature { name: "y" type: INT }')
    return tmp_path / "shop"


def test_tables_are_data_frames(folder):
    dataset = driftgate.load("shop")

    assert dataset.spans()["verdict"].to_dict() == {1: None, 2: None}
    pd.testing.assert_frame_equal(
        dataset.schema_diff(),
        pd.DataFrame(
            {"accept": ["extra:BYTES"], "kind": ["column"], "rows": [2], "value": ["BYTES"]},
            index=pd.Index(["extra"], name="column"),
        ),
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: driftgate.load("nothing"), "There is no dataset 'nothing'. Shipped: flights, taxi."),
        (lambda: driftgate.load("shop").drift(2), "No model is live in "),
        (lambda: driftgate.load("shop").run(9), "Span 9 does not match"),
        (lambda: driftgate.load("shop").schema_diff(datetime.date(2017, 12, 1)), "--span: the spans of "),
        (lambda: driftgate.load("shop").replay("8-9"), "--spans: no span from 8 to 9. Found: 1, 2."),
        (lambda: driftgate.load("shop").serve(), "Nothing has been pushed to "),
        (lambda: driftgate.init("nothing.csv", label="y"), "nothing.csv"),
    ],
)
def test_what_a_command_refuses_is_an_error_in_its_words(folder, call, said):
    with pytest.raises(driftgate.CommandError) as caught:
        call()

    assert said in str(caught.value)
    assert caught.value.status == 2


def test_a_file_becomes_a_dataset_with_a_model_to_edit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.csv").write_text("x,y\n" + "".join(f"{i % 17},{i % 2}\n" for i in range(60)))

    dataset = driftgate.init("shop.csv", label="y", own_model=True)

    assert dataset.path == str(tmp_path / "shop")
    assert 'module = "model.py"' in (tmp_path / "shop" / "dataset.toml").read_text()
    assert "def build_model(spec" in (tmp_path / "shop" / "model.py").read_text()


def test_a_look_is_shown_as_text_and_its_words_are_no_markup():
    run = driftgate.Run("explained", 3, "rerun", ("`a<b>` moved",), None, None, {"decision": None})

    assert run._repr_html_() == "<p><b>RERUN span 3</b></p><ul><li>`a&lt;b&gt;` moved</li></ul>"


def test_a_replay_is_tables_by_policy():
    step = {"span": 2, "verdict": "skip", "auc": 0.75}
    value = {
        "steps": {"gate": [{**step, "span": 1}, step], "always": [step]},
        "summary": {"gate": {"trainings": 1, "mean_auc": 0.75}, "always": {"trainings": 2, "mean_auc": 0.5}},
    }

    replay = driftgate.Replay(None, value)

    assert replay.steps.loc[("gate", 2), "verdict"] == "skip"
    assert replay.summary["trainings"].to_dict() == {"gate": 1, "always": 2}
    assert "<td>0.75</td>" in replay._repr_html_()


def test_a_look_says_what_waits_until_a_window_is_judged():
    waiting = [{"start": 0, "version": 7, "rows": 12}]
    look = driftgate.Look(3, {"windows": [], "waiting": waiting})

    assert look._repr_html_() == "<p>3 new requests; no window is judged yet, 12 rows wait.</p>"
    assert look.waiting.loc[7, "rows"] == 12
    alert = {"kind": "skew", "text": "x moved", "feature": "x"}
    window = {"start": 86_400, "end": 172_800, "version": 7, "rows": 400, "alerts": [alert]}
    judged = driftgate.Look(0, {"windows": [window], "waiting": []}).windows
    assert judged.loc[pd.Timestamp("1970-01-02", tz="UTC"), "alerts"] == ["x moved"]
