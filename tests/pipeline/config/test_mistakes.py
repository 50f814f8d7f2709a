"""Every mistake in a dataset's folder ends a command with status 2 and one line that names the file and the key."""

import pytest

import local_runner
from pipeline.config.dataset import load_dataset
from tests.pipeline.config.test_dataset import GOOD, SCHEMA


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset.toml").write_text(GOOD)
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    return tmp_path


def refusal(folder, capsys, command=("status",)):
    """Runs a command; returns its only line."""
    status = local_runner.main([*command, "--dataset", str(folder), "--root", str(folder / "root")])

    lines = capsys.readouterr().err.strip().splitlines()
    assert (status, len(lines)) == (2, 1), lines
    return lines[0]


def table(name, text):
    """A change of GOOD that adds a table."""
    return "[serving]", f"[{name}]\n{text}\n[serving]"


DATASET = [
    # Which class is answered.
    (
        ('model_name = "shop"', 'model_name = "shop"\nthreshold = 1.0'),
        "[serving]: threshold: expected a number in (0, 1) or 'max_f1' or 'max_mcc' or a table, each value a number",
    ),
    (
        ('model_name = "shop"', 'model_name = "shop"\nthreshold = { cost_false_positive = 0 }'),
        "[serving]: threshold: expected a number in (0, 1) or",
    ),
    (
        ('model_name = "shop"', 'model_name = "shop"\nthreshold = { cost_false_positive = 1 }'),
        "[serving]: threshold: expected a cost for each of cost_false_positive, cost_false_negative. Received: cost_",
    ),
    (table("model", 'learner = "forest"'), "[model]: learner: expected 'auto' or 'network' or 'trees' or 'linear'."),
    (
        table("model", 'monotonic = { price = "up" }'),
        "[model]: monotonic: only the learner trees keeps it. Received: network.",
    ),
    (
        table("model", 'learners = ["trees", "trees"]'),
        "[model]: learners: expected at least two, all different. Received: trees, trees.",
    ),
    (
        table("model", 'learner = "trees"\nmonotonic = { nowhere = "up" }'),
        "[model]: monotonic: 'nowhere' is no number among the features. Numbers: ",
    ),
    (
        table("model", 'learner = "trees"\nmonotonic = { price = "sideways" }'),
        "[model]: monotonic.price: expected 'up' or 'down'. Received: 'sideways'.",
    ),
    # A window is of no more spans than are remembered.
    (
        ("[spans]", "[retention]\nhistory = 10\n[spans]\nwindow = 11"),
        "[retention]: history must be at least [spans] window",
    ),
    (("[spans]", '[spans]\nmarker = "a/b"'), "[spans]: marker: expected a file's name, without wildcards."),
    (('/data.csv"', '/*"\nmarker = "_OK"'), "[spans]: The marker would be read as data"),
    # Names: they become folders, log files and URLs.
    (('name = "shop"', 'name = ""'), "name: expected 1 to 63 lower-case letters"),
    (('name = "shop"', f'name = "{"x" * 64}"'), "name: expected 1 to 63 lower-case letters"),
    (('name = "shop"', "name = 3"), "name: expected 1 to 63 lower-case letters, digits and dashes. Received: 3."),
    (('model_name = "shop"', 'model_name = ""'), "[serving]: model_name: expected 1 to 63 letters"),
    (('model_name = "shop"', 'model_name = "../shop"'), "[serving]: model_name: expected 1 to 63 letters"),
    (('model_name = "shop"', 'model_name = "a/b"'), "[serving]: model_name: expected 1 to 63 letters"),
    (('model_name = "shop"', 'model_name = "a b"'), "[serving]: model_name: expected 1 to 63 letters"),
    (('model_name = "shop"', 'model_name = "a:predict"'), "[serving]: model_name: expected 1 to 63 letters"),
    (('model_name = "shop"', 'model_name = "ä"'), "[serving]: model_name: expected 1 to 63 letters"),
    (('model_name = "shop"', f'model_name = "{"x" * 300}"'), "[serving]: model_name: expected 1 to 63 letters"),
    # Numbers.
    (
        table("training", "learning_rate = nan"),
        "[training]: learning_rate: expected a number in (0, 10]. Received: nan.",
    ),
    (
        table("training", "learning_rate = inf"),
        "[training]: learning_rate: expected a number in (0, 10]. Received: inf.",
    ),
    (table("training", f"learning_rate = 1{'0' * 400}"), "[training]: learning_rate: expected a number in (0, 10]."),
    (table("training", "weight_decay = -inf"), "[training]: weight_decay: expected a number in [0, 10]."),
    (table("training", "weight_decay = nan"), "[training]: weight_decay: expected a number in [0, 10]."),
    (
        table("training", "hidden_units = [1_000_000_000_000]"),
        "[training]: hidden_units[0]: expected an integer in [1,",
    ),
    (table("training", "hidden_units = [64, -1]"), "[training]: hidden_units[1]: expected an integer in [1, 16_384]."),
    (table("training", f"hidden_units = {[8] * 65}"), "[training]: hidden_units: expected at most 64 layers."),
    (table("training", "ensemble_size = 0"), "[training]: ensemble_size: expected an integer in [1, 64]. Received: 0."),
    (table("training", "seed = 4294967296"), "[training]: seed: expected an integer in [0, 2_147_483_647]."),
    (table("training", "calibrate = 1"), "[training]: calibrate: expected true or false. Received: 1."),
    (table("training", "epochs = 1979-05-27"), "[training]: epochs: expected an integer in [1, 10_000]."),
    (table("features.hashed", "order_id = 999_999_999_999"), "[features]: hashed.order_id: expected an integer in [2,"),
    (table("gate", "min_rows = 1"), "[gate]: min_rows: expected an integer in [25, 1_000_000_000]. Received: 1."),
    (table("gate", "auc_margin = nan"), "[gate]: auc_margin: expected a number in [0, 1]. Received: nan."),
    (table("gate", f"loss_margin = 1{'0' * 400}"), "[gate]: loss_margin: expected a number of at least 0."),
    (table("evaluation", "bootstraps = 1e9"), "[evaluation]: bootstraps: expected an integer in [0, 10_000]."),
    (table("monitoring", "window_hours = 0"), "[monitoring]: window_hours: expected a number in [0.01667, 8_784]."),
    (table("monitoring", "keep_days = inf"), "[monitoring]: keep_days: expected a number in [0, 36_525]."),
    (
        ('model_name = "shop"', 'model_name = "shop"\nmax_p99_ms = nan'),
        "[serving]: max_p99_ms: expected a number in [0,",
    ),
    (table("vertex", "accelerator_count = 0"), "[vertex]: accelerator_count: expected an integer in [1, 16]."),
    (('format = "csv"', "window = 2.0"), "[spans]: window: expected an integer in [1, 10_000]. Received: 2.0."),
    # Texts.
    (('pattern = "span-{SPAN}/data.csv"', 'pattern = ""'), "[spans]: pattern: expected a path. Received: ''."),
    (("span-{SPAN}/data.csv", "/span-{SPAN}/data.csv"), "[spans]: A span pattern is a path below the data root."),
    (("span-{SPAN}/data.csv", "../span-{SPAN}/data.csv"), "[spans]: A span pattern is a path below the data root."),
    (("span-{SPAN}/data.csv", "span-{SPAN}/{DAY}.csv"), "[spans]: A span pattern holds {SPAN}, {VERSION}, {YYYY}"),
    (('schema = "schema.pbtxt"', 'schema = ""'), "schema: expected a path. Received: ''."),
    (('schema = "schema.pbtxt"', 'schema = "a\\u0000b"'), "schema: expected a path. Received: 'a\\x00b'."),
    (
        ("[label]", '[source]\nkind = "module"\nmodule = "my module"\n[label]'),
        "[source]: module: expected a module's dotted name.",
    ),
    (table("vertex", 'service_account = "me"'), "[vertex]: service_account: expected an account such as"),
    (table("beam", 'args = [""]'), "[beam]: args[0]: expected a text that is not empty. Received: ''."),
    (('column = "bought"', 'column = ""'), "[label]: column: expected a column's name. Received: ''."),
    # Cross-references.
    (('categorical = ["city"]', 'categorical = ["city", "price2"]'), "[features]: 'price2' is no column of the schema"),
    (('numeric = ["price"]', 'numeric = ["city"]\nbucketized = {price = 4}'), "In several: city"),
    (('never = ["order_id"]', 'never = ["orders"]'), "[features]: never: 'orders' is no column of the schema"),
    (table("gate", 'exclude = ["prise"]'), "[gate]: exclude: 'prise' is not a feature. Features: city, price."),
    (table("gate.severity.prise", 'out_of_range = "warn"'), "[gate]: severity: 'prise' is no column of the schema"),
    (table("gate.tolerance.prise", "out_of_range = 0.1"), "[gate]: tolerance: 'prise' is no column of the schema"),
    (table("monitoring", 'key = ["order_id"]'), "[monitoring]: key: 'order_id' is not a feature."),
    # Groups whose columns have another type.
    (
        ('numeric = ["price"]', 'numeric = ["price", "kind"]'),
        "[features]: numeric: expected columns of type INT or FLOAT.",
    ),
    (table("features.bucketized", "kind = 4"), "[features]: bucketized: expected columns of type INT or FLOAT."),
    (
        table("features.cyclical", "kind = 4"),
        "[features]: cyclical: expected columns of type INT or FLOAT. Received: 'k",
    ),
    (table("features.hashed", "weight = 4"), "[features]: hashed: expected columns of type BYTES or INT."),
    (('categorical = ["city"]', 'categorical = ["weight"]'), "[features]: categorical: expected columns of type BYTES"),
    # Keys and TOML.
    (('never = ["order_id"]', 'label = "bought"'), "[features]: the label has a table of its own, [label]."),
    (
        ('never = ["order_id"]', 'nevr = ["order_id"]'),
        "unknown key 'nevr'. Allowed: bucketized, categorical, cyclical, ",
    ),
    (("[serving]", "[[gate]]\n[serving]"), "[gate]: expected a table. Received: [{}]."),
    (("[serving]", f"x = {'[' * 5000}\n[serving]"), "not valid TOML"),
    (("[serving]", f"x = {'9' * 5000}\n[serving]"), "not valid TOML"),
]


@pytest.mark.parametrize(("change", "message"), DATASET)
def test_a_mistake_in_dataset_toml(folder, capsys, change, message):
    more = 'feature { name: "kind" type: BYTES }\nfeature { name: "weight" type: FLOAT }\n'
    (folder / "schema.pbtxt").write_text(SCHEMA + more)
    assert change[0] in GOOD, "the case changes nothing"
    (folder / "dataset.toml").write_text(GOOD.replace(*change, 1))

    line = refusal(folder, capsys)

    assert str(folder / "dataset.toml") in line
    assert message in line


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (b"\xff\xfe", "the schema cannot be read: not UTF-8 at byte 0"),
        (b"", "the schema has no features"),
        (
            SCHEMA.replace("type: FLOAT", "").encode(),
            "feature 'price': type: expected INT, FLOAT or BYTES. Received: none",
        ),
        (
            SCHEMA.replace("FLOAT", "STRUCT").encode(),
            "feature 'price': type: expected INT, FLOAT or BYTES. Received: STRU",
        ),
        ((SCHEMA + SCHEMA).encode(), "feature 'price': it is there twice. Keep one."),
        (SCHEMA.encode() + b"feature { type: INT }", "a feature has no name"),
        (
            SCHEMA.replace("BYTES", 'BYTES domain: "towns"', 1).encode(),
            "feature 'city': the domain 'towns' is not defined",
        ),
        (SCHEMA.replace("FLOAT", "FLOAT int_domain { min: 1 }").encode(), "int_domain belongs to the type INT"),
        (SCHEMA.replace("FLOAT", "FLOAT float_domain { min: 2 max: 1 }").encode(), "min 2 lies above max 1"),
        (
            SCHEMA.replace("FLOAT", "FLOAT presence { min_fraction: 90 }").encode(),
            "min_fraction: expected a number in [0,",
        ),
        (SCHEMA.replace("FLOAT", "NUMBER").encode(), "not a TensorFlow Metadata schema: 1:"),
    ],
)
def test_a_mistake_in_the_schema(folder, capsys, schema, message):
    (folder / "schema.pbtxt").write_bytes(schema)

    line = refusal(folder, capsys)

    assert str(folder / "schema.pbtxt") in line
    assert message in line


def test_a_schema_that_is_a_folder(folder, capsys):
    (folder / "schema.pbtxt").unlink()
    (folder / "schema.pbtxt").mkdir()

    assert "schema.pbtxt: the schema cannot be read: Is a directory" in refusal(folder, capsys)


def test_a_byte_order_mark_is_no_mistake(folder):
    (folder / "dataset.toml").write_text("\ufeff" + GOOD)
    (folder / "schema.pbtxt").write_text("\ufeff" + SCHEMA)

    assert load_dataset(str(folder)).name == "shop"


def test_a_dataset_file_that_is_empty_or_a_folder(folder, capsys):
    (folder / "dataset.toml").write_text("")
    assert "dataset.toml: the key 'name' is missing" in refusal(folder, capsys)

    (folder / "dataset.toml").unlink()
    (folder / "dataset.toml").mkdir()
    assert "dataset.toml: expected a file. Received: a folder." in refusal(folder, capsys)


def test_a_dataset_name_longer_than_any_files(tmp_path, capsys):
    status = local_runner.main(["status", "--dataset", "x" * 5000, "--root", str(tmp_path)])

    assert (status, len(capsys.readouterr().err.strip().splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such_module", "'no_such_module' cannot be imported: ModuleNotFoundError: No module named"),
        ("json", "'json' has no function write_spans(data_root)"),
    ],
)
def test_a_source_that_writes_no_spans(folder, capsys, source, message):
    (folder / "dataset.toml").write_text(GOOD + f'[source]\nkind = "module"\nmodule = "{source}"\n')

    line = refusal(folder, capsys, command=("run",))

    assert f"{folder / 'dataset.toml'} [source]: module: {message}" in line


def test_nothing_is_tuned_for_own_code_that_trains_by_itself(folder, capsys):
    (folder / "dataset.toml").write_text(f"{GOOD}\n[model]\nmodule = 'model.py'\n")
    (folder / "model.py").write_text("def run_fn(fn_args): ...\n")
    assert "[tuning]: model.py trains by a run_fn of its own" in refusal(folder, capsys, ("tune", "--trials", "3"))

    (folder / "dataset.toml").write_text(f"{GOOD}\n[model]\nmodule = 'model.py'\n[tuning]\neach_training = true\n")
    assert "[tuning]: model.py trains by a run_fn of its own" in refusal(folder, capsys)


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ('module = "model.py"', None, "module: {folder}/model.py cannot be read: No such file or directory."),
        ('module = "model.txt"', None, "module: expected a Python file in the dataset's folder, such as model.py."),
        (
            'module = "model.py"',
            "def build_model(\n",
            "module: model.py, line 1: '(' was never closed: def build_model(",
        ),
        (
            'module = "model.py"',
            "import nowhere_at_all\n",
            "module: model.py, line 1: there is no module 'nowhere_at_all'",
        ),
        (
            'module = "model.py"\nlearner = "linear"',
            "def build_model(spec): ...\n",
            "model.py trains by its own build_model, in the place of the network. Remove learner and learners",
        ),
    ],
)
def test_own_code_is_refused_before_anything_runs(folder, capsys, model, code, message):
    (folder / "dataset.toml").write_text(f"{GOOD}\n[model]\n{model}\n")
    if code is not None:
        (folder / "model.py").write_text(code)

    line = refusal(folder, capsys)

    assert f"{folder / 'dataset.toml'} [model]: {message.format(folder=folder)}" in line
