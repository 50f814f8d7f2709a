"""A wrong dataset file is one clear error with the file, the key and what is allowed; the shipped ones are right."""

import pytest

from models.target import Target
from pipeline.config import dataset as config
from pipeline.errors import ConfigError

GOOD = """
name = "shop"
schema = "schema.pbtxt"
[spans]
format = "csv"
pattern = "span-{SPAN}/data.csv"
[label]
column = "bought"
[features]
numeric = ["price"]
categorical = ["city"]
never = ["order_id"]
[serving]
model_name = "shop"
"""
SCHEMA = "".join(
    f'feature {{ name: "{name}" type: {kind} }}\n'
    for name, kind in (("price", "FLOAT"), ("city", "BYTES"), ("bought", "INT"), ("order_id", "BYTES"))
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset.toml").write_text(GOOD)
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    return tmp_path


def test_a_dataset_is_read_from_its_folder_or_its_file(folder):
    by_folder = config.load_dataset(str(folder))

    assert by_folder == config.load_dataset(str(folder / "dataset.toml"))
    assert (by_folder.name, by_folder.features.names, by_folder.never) == ("shop", ("city", "price"), ("order_id",))
    assert by_folder.features.label == "bought"
    assert by_folder.spans.window == 4


@pytest.mark.parametrize("name", ["taxi", "flights"])
def test_the_shipped_datasets_are_right(name):
    dataset = config.load_dataset(name)

    assert dataset.name == name
    assert not set(dataset.never) & set(dataset.features.names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('name = "shop"', 'name = "My Shop"'),
            "name: expected 1 to 63 lower-case letters, digits and dashes. Received: 'My Shop'",
        ),
        (('name = "shop"', 'nam = "shop"'), "unknown key 'nam'. Allowed: beam, evaluation, features, gate, label, "),
        (("[label]", "[labels]"), "unknown key 'labels'"),
        (('[label]\ncolumn = "bought"', ""), "the table [label] is missing"),
        (('column = "bought"', 'column = "bought"\nexpression = "a > b"'), "[label]: give either column or expression"),
        (('column = "bought"', 'expression = "a >"'), "[label]:"),
        (
            ('numeric = ["price"]', 'numeric = ["prise"]'),
            "[features]: 'prise' is no column of the schema .*. It has: price, city",
        ),
        (
            ('numeric = ["price"]', 'numeric = "price"'),
            "[features]: numeric: expected a list, each a column's name. Received: 'price'",
        ),
        (
            ('numeric = ["price"]', 'numeric = ["price", "city"]'),
            "[features]: A column may be in one feature group only",
        ),
        (('numeric = ["price"]', 'numeric = ["order_id"]'), "[features]: 'order_id' is listed in `never`"),
        (('numeric = ["price"]', 'numeric = ["bought"]'), "[features]: .*'bought'"),
        (('numeric = ["price"]', 'numerics = ["price"]'), "[features]: unknown key 'numerics'. Allowed: bucketized"),
        (('format = "csv"', 'format = "xlsx"'), "[spans]: format: expected 'csv' or 'parquet' or 'avro' or 'tfrecord'"),
        (("span-{SPAN}", "span-1"), "[spans]: A span pattern needs {SPAN} once"),
        (('format = "csv"', "window = 0"), "[spans]: window: expected an integer in [1, 10_000]. Received: 0"),
        (("[serving]", "[gate]\nmin_rowss = 3\n[serving]"), "[gate]: unknown key 'min_rowss'"),
        (("[serving]", "[evaluation]\nmin_auc = 2\n[serving]"), r"[evaluation]: min_auc: expected a number in [0, 1]"),
        (
            ("[serving]", '[evaluation]\nslices = [["town"]]\n[serving]'),
            "[evaluation]: slices: 'town' is no column of the schema .*",
        ),
        (
            ("[serving]", '[vertex]\nendpoint = "shop"\n[serving]'),
            "[vertex]: machine_type and endpoint need project and region.",
        ),
        (
            ("[serving]", '[vertex]\naccelerator_type = "L4"\n[serving]'),
            "[vertex]: accelerator_type needs machine_type.",
        ),
        (("[serving]", "[vertex]\ngpu = 1\n[serving]"), "[vertex]: unknown key 'gpu'. Allowed: accelerator_count"),
        (('model_name = "shop"', ""), "[serving]: the key 'model_name' is missing (1 to 63 letters"),
        (('name = "shop"', "name = shop"), "not valid TOML"),
        (('schema = "schema.pbtxt"', 'schema = "other.pbtxt"'), "other.pbtxt: the schema is missing. Remove the key"),
    ],
)
def test_a_mistake_names_the_file_the_key_and_what_is_allowed(folder, change, message):
    assert GOOD.count(change[0]) >= 1, "the case changes nothing"
    (folder / "dataset.toml").write_text(GOOD.replace(*change, 1))

    with pytest.raises(ConfigError) as caught:
        config.load_dataset(str(folder))

    text = str(caught.value)
    assert str(folder) in text
    # ".*" in an expectation stands for anything; the rest is literal.
    position = 0
    for part in message.split(".*"):
        assert part in text[position:], text
        position = text.index(part, position) + len(part)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ("type: BYTES", "'bought' is text (BYTES) in "),
        ("type: INT int_domain { min: 0 max: 4 }", "'bought' has a domain beyond 0 and 1 in "),
        ("type: FLOAT float_domain { min: -10 }", "'bought' has a domain beyond 0 and 1 in "),
    ],
)
def test_a_label_that_can_never_be_0_or_1_is_refused(folder, described, message):
    schema = SCHEMA.replace('name: "bought" type: INT', f'name: "bought" {described}')
    assert schema != SCHEMA
    (folder / "schema.pbtxt").write_text(schema)

    with pytest.raises(ConfigError) as caught:
        config.load_dataset(str(folder))

    assert str(caught.value).startswith(f"{folder / 'dataset.toml'} [label]: {message}{folder / 'schema.pbtxt'}")
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("label", "kind", "expression"),
    [
        ('positive = "Yes"', "BYTES", 'bought == "Yes"'),
        ("positive = 'Yes, \"now\"'", "BYTES", 'bought == "Yes, ""now"""'),
        ('positive = ["Yes", "Maybe"]', "BYTES", 'bought in ["Yes", "Maybe"]'),
        ("positive = 2", "INT int_domain { min: 1 max: 2 }", "bought == 2"),
        ("positive = [2, -3]", "FLOAT", "bought in [2, -3]"),
        ("positive = true", "INT", "bought"),
        ("positive = false", "INT", "bought == 0"),
    ],
)
def test_a_label_column_of_other_values_says_which_are_positive(folder, label, kind, expression):
    (folder / "dataset.toml").write_text(GOOD.replace('column = "bought"', f'column = "bought"\n{label}'))
    (folder / "schema.pbtxt").write_text(SCHEMA.replace('"bought" type: INT', f'"bought" type: {kind}'))

    assert config.load_dataset(str(folder)).features.label == expression


@pytest.mark.parametrize(
    ("label", "described", "target"),
    [
        (
            'task = "multiclass"\ncolumn = "bought"',
            'type: BYTES string_domain { name: "b" value: "no" value: "yes" value: "later" }',
            Target(label="bought", task="multiclass", classes=("no", "yes", "later")),
        ),
        (
            'task = "multiclass"\ncolumn = "bought"\nclasses = [1, 2, 3]',
            "type: INT",
            Target(label="bought", task="multiclass", classes=("1", "2", "3")),
        ),
        (
            'task = "regression"\ncolumn = "bought"\ntransform = "log1p"\ninterval = 0.8\nweight = "2 * price"',
            "type: FLOAT",
            Target(label="bought", task="regression", transform="log1p", interval=0.8, weight="2 * price"),
        ),
        # Where the label is plain, the task need not be named.
        (
            'column = "bought"',
            'type: BYTES string_domain { name: "b" value: "no" value: "yes" value: "later" }',
            Target(label="bought", task="multiclass", classes=("no", "yes", "later")),
        ),
        (
            'column = "bought"\nclasses = [1, 2]',
            "type: INT",
            Target(label="bought", task="multiclass", classes=("1", "2")),
        ),
        ('expression = "2 * bought"', "type: FLOAT", Target(label="2 * bought", task="regression")),
        ('column = "bought"\ninterval = 0.8', "type: FLOAT", Target(label="bought", task="regression", interval=0.8)),
        ('expression = "bought > 1"', "type: FLOAT", Target(label="bought > 1")),
        (
            'column = "bought"\npositive = "yes"',
            'type: BYTES string_domain { name: "b" value: "no" value: "yes" value: "later" }',
            Target(label='bought == "yes"'),
        ),
    ],
)
def test_every_task_is_a_few_keys_of_the_label(folder, label, described, target):
    (folder / "dataset.toml").write_text(GOOD.replace('column = "bought"', label))
    (folder / "schema.pbtxt").write_text(SCHEMA.replace('name: "bought" type: INT', f'name: "bought" {described}'))

    features = config.load_dataset(str(folder)).features

    assert features.target == target
    assert type(features).from_json(features.to_json()) == features


@pytest.mark.parametrize(
    ("label", "described", "message"),
    [
        ('task = "multiclass"\ncolumn = "bought"', "type: INT", "classes: name them"),
        ('task = "binary"\ncolumn = "bought"\nclasses = ["a", "b"]', "type: INT", "classes belong to task multiclass"),
        ('task = "regression"\ncolumn = "bought"\npositive = 1', "type: INT", "positive belongs to task binary"),
        (
            'column = "bought"\npositive = 1\nclasses = [1, 2]',
            "type: INT",
            "classes belong to task multiclass",
        ),
        ('column = "bought"\nclasses = [1, 2]\ninterval = 0.8', "type: INT", "interval belongs to task regression"),
        ('task = "regression"\nexpression = "bought > 1"', "type: INT", "a number and not a comparison"),
        ('task = "regression"\ncolumn = "bought"', "type: BYTES", "'bought' is text (BYTES)"),
        (
            'task = "multiclass"\ncolumn = "bought"\nclasses = ["a", "b"]',
            "type: INT",
            "the class 'a' is no whole number",
        ),
        (
            'task = "multiclass"\ncolumn = "bought"\nclasses = ["a", "b"]',
            'type: BYTES string_domain { name: "b" value: "a" }',
            "the class 'b' is not in its domain",
        ),
        ('column = "bought"\nweight = "price > 1"', "type: INT", "a number and not a comparison"),
        ('column = "bought"\nweight = "nothing"', "type: INT", "'nothing' is no column of the schema"),
    ],
)
def test_a_task_that_the_label_cannot_be_is_refused(folder, label, described, message):
    (folder / "dataset.toml").write_text(GOOD.replace('column = "bought"', label))
    (folder / "schema.pbtxt").write_text(SCHEMA.replace('name: "bought" type: INT', f'name: "bought" {described}'))

    with pytest.raises(ConfigError) as caught:
        config.load_dataset(str(folder))

    assert str(caught.value).startswith(f"{folder / 'dataset.toml'} [label]")
    assert message in str(caught.value)


def test_a_floor_of_another_tasks_metric_is_refused(folder):
    (folder / "dataset.toml").write_text(GOOD + "\n[evaluation]\nfloors = { r_squared = 0.2 }\n")

    with pytest.raises(ConfigError, match=r"\[evaluation\]: floors: expected metrics of the task binary"):
        config.load_dataset(str(folder))


@pytest.mark.parametrize(
    ("label", "described", "message"),
    [
        ('column = "bought"\npositive = "Yes"', "type: INT", "'bought' is INT in .*, and is compared with text. Say"),
        ('column = "bought"\npositive = true', "type: BYTES", "'bought' is text (BYTES) in .*positive = \"Yes\""),
        ("expression = 'bought > 1'", "type: BYTES", "'bought' is text (BYTES) in "),
        (
            'column = "bought"\npositive = "yes"',
            'type: BYTES string_domain { value: "Yes" value: "No" }',
            "'bought' is compared with 'yes', which is not in its domain in .*: Yes, No.",
        ),
        ('column = "bought"\npositive = []', "type: INT", "positive: name at least one value."),
        (
            'column = "bought"\npositive = 0.5',
            "type: FLOAT",
            "positive: expected a text or a whole number or true or false",
        ),
        ('column = "bought"\npositive = ["Yes", 1]', "type: BYTES", "positive: expected a text or "),
        ('positive = "Yes"', "type: BYTES", "give either column or expression."),
        (
            "expression = 'bought > 1'\npositive = 1",
            "type: INT",
            "positive belongs to column; an expression says itself what counts as 1.",
        ),
    ],
)
def test_positive_values_that_cannot_be_are_refused(folder, label, described, message):
    (folder / "dataset.toml").write_text(GOOD.replace('column = "bought"', label))
    (folder / "schema.pbtxt").write_text(SCHEMA.replace('"bought" type: INT', f'"bought" {described}'))

    with pytest.raises(ConfigError) as caught:
        config.load_dataset(str(folder))

    beginning, *rest = message.split(".*")
    assert str(caught.value).startswith(f"{folder / 'dataset.toml'} [label]: {beginning}")
    assert all(part in str(caught.value) for part in rest)


def test_a_schema_that_is_none_names_the_line(folder):
    (folder / "schema.pbtxt").write_text('feature { name: "x" }\nfeature { nam: "y" }\n')

    with pytest.raises(ConfigError, match=r"schema.pbtxt: not a TensorFlow Metadata schema: 2:"):
        config.load_dataset(str(folder))


def test_an_unknown_dataset_names_what_ships():
    with pytest.raises(ConfigError, match=r"There is no dataset 'taxis'\. Shipped: flights, taxi"):
        config.load_dataset("taxis")
