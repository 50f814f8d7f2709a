"""`predict` against a live server in a process of its own."""

import io
import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

import local_runner
from pipeline.predict import servability

DEFAULTS = {"fare": {"missing": "NaN"}, "area": {"missing": -1}, "company": {"missing": ""}}


class Model(tf.Module):
    """Adds up numbers, refuses fares above 1,000, and says what it got for a company."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="fare"),
            tf.TensorSpec([None], tf.int64, name="area"),
            tf.TensorSpec([None], tf.string, name="company"),
        ],
        autograph=False,
    )
    def total(self, fare, area, company):
        known = tf.where(tf.math.is_nan(fare), 0.0, fare)
        with tf.control_dependencies([tf.debugging.assert_less_equal(known, 1000.0, message="fare above 1000")]):
            return {"total": known + tf.cast(area, tf.float32), "company": company + "!"}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def double(self, x):
        return {"y": 2 * x}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    model = Model()
    tf.saved_model.save(
        model, str(folder / "m" / "7"), signatures={"serving_default": model.total, "double": model.double}
    )
    with servability.starting(folder / "m", "m", folder / "server.log") as server:
        server.wait()
        url = server.url
        yield url


@pytest.fixture
def predict(url, tmp_path, monkeypatch, capsys):
    """Runs the command on a text, as if it came from standard input."""
    defaults = tmp_path / "feature_defaults.json"
    defaults.write_text(json.dumps(DEFAULTS))

    def run(text, *options):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        common = ["--url", url, "--root", str(tmp_path / "none")]
        if "--defaults" not in options:
            common += ["--defaults", str(defaults)]
        status = local_runner.main(["predict", *common, *options])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return run


def test_a_csv_with_a_missing_value_a_missing_column_and_one_too_many(predict):
    done = predict("fare,area,tips\n2.5,8,1\n,8,1\n", "--json")

    assert done.status == 0
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"row": 1, "prediction": {"total": 10.5, "company": "!"}},
        {"row": 2, "prediction": {"total": 8.0, "company": "!"}},
    ]
    assert "left out, since the model does not take them: tips" in done.err
    assert "warning: the column company is missing; every row was answered with the model's default for it" in done.err


def test_rows_without_any_of_the_models_columns_are_refused(predict):
    # Every row would have had the same answer: that of a row without a value.
    done = predict("fare;area;company\n2.5;8;a\n", "--csv")

    assert (done.status, done.out) == (3, "")
    assert "the fields are separated by ';', and ',' was expected." in done.err
    assert '[spans.csv] delimiter = ";"' in done.err
    other = predict('{"price": 2, "town": "x"}\n', "--json")
    assert (other.status, other.out) == (3, "")
    assert "none of the rows' columns is one that the model takes. Expected: " in other.err
    assert "Received: price, town." in other.err
    assert "separator" not in other.err


def test_a_field_of_any_length_is_read_and_no_error_repeats_it(predict):
    done = predict(f"fare,area,company\n1,2,{'x' * 200_000}\n{'9' * 3000}x,2,a\n", "--json")

    rows = [json.loads(line) for line in done.out.splitlines()]
    assert rows[0]["prediction"] == {"total": 3.0, "company": "x" * 200_000 + "!"}
    assert rows[1]["error"] == "fare: expected a number. Received: '" + "9" * 78 + "…"


def test_markup_in_a_row_is_shown_as_it_is(predict):
    done = predict("fare,area,company\n[/],1,a\n1,1,n/a [/]\n")

    assert "fare: expected a number. Received: '[/]'" in done.out
    assert "n/a [/]!" in done.out


def test_bad_rows_do_not_lose_the_others_and_the_status_says_so(predict):
    text = "\n".join(
        [
            '{"fare": 1, "area": 1, "company": "a"}',
            '{"fare": "much", "area": 1}',
            '{"fare": 5000, "area": 1}',
            '{"fare": 2, "area": 1.5}',
            '{"fare": 3, "area": 2.0, "company": 4}',
            '{"fare": 4, "area": 2.0}',
            "oops",
        ]
    )
    done = predict(text, "--json")

    assert done.status == 3
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["row"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[0]["prediction"] == {"total": 2.0, "company": "a!"}
    assert rows[1]["error"] == "fare: expected a number. Received: 'much'"
    assert "fare above 1000" in rows[2]["error"]  # The server's own words, for this row alone.
    assert rows[3]["error"] == "area: expected a whole number. Received: 1.5"
    assert rows[4]["error"] == "company: expected text. Received: 4"
    assert rows[5]["prediction"] == {"total": 6.0, "company": "!"}
    assert rows[6]["error"].startswith("not JSON")
    assert "5 of 7 rows were not answered" in done.err


def test_the_answers_do_not_depend_on_the_batch_size(predict):
    rows = "\n".join(json.dumps({"fare": fare, "area": 0}) for fare in [*range(10), 2000, *range(10)])

    whole = predict(rows, "--csv", "--batch-size", "100")
    small = predict(rows, "--csv", "--batch-size", "3")

    assert whole.status == small.status == 3
    assert whole.out.splitlines()[:3] == ["row,company,total,error", "1,!,0.0,", "2,!,1.0,"]
    assert [line for line in whole.out.splitlines() if "above" not in line] == [
        line for line in small.out.splitlines() if "above" not in line
    ]
    assert whole.out.count("fare above 1000") == 1


def test_a_table_for_people(predict):
    done = predict('[{"fare": 1, "area": 1}, {"area": "x"}]')

    assert done.status == 3
    header, first, second = [" ".join(line.split()) for line in done.out.strip().splitlines()[1:]]
    assert header == "row company total error"
    assert first == "1 ! 2.0"
    assert second == "2 area: expected a whole number. Received: 'x'"


def test_another_signature_with_one_output_and_a_version(predict, url):
    done = predict('{"x": 1.5}', "--signature", "double", "--json", "--url", f"{url}/versions/7:predict")

    assert json.loads(done.out) == {"row": 1, "prediction": {"y": 3.0}}


def test_without_defaults_a_missing_value_is_the_row_s_error(predict, tmp_path):
    empty = tmp_path / "empty.json"
    empty.write_text("{}")

    done = predict('{"fare": 1}', "--json", "--defaults", str(empty))

    assert json.loads(done.out)["error"] == "area: the value is missing, and nothing says what stands for it"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--signature", "none"], 2, "--signature: the model has no 'none'. It has: double, serving_default."),
        (["--url", "http://127.0.0.1:9/v1/models/m"], 1, "No answer from http://127.0.0.1:9/v1/models/m: "),
        (["--url", "http://127.0.0.1:8501"], 2, "--url: expected http[s]://HOST:PORT/v1/models/NAME."),
        (["--batch-size", "0"], 2, "--batch-size must be at least 1. Received: 0."),
        (["--defaults", "/none"], 2, "--defaults: /none: No such file or directory."),
    ],
)
def test_what_concerns_all_rows_is_one_error(predict, options, status, message):
    done = predict('{"fare": 1}', *options)

    assert done.status == status
    assert message in done.err
    assert done.out == ""


def test_an_unknown_model_is_said_in_the_server_s_words(predict, url):
    done = predict('{"fare": 1}', "--url", url.replace("/m", "/n").replace("/nodels", "/models"))

    assert done.status == 1
    assert "answered 404: Servable not found for request: Latest(n)" in done.err
