"""The JSON schema of dataset.toml allows what the program reads and underlines what it refuses: a validator says so."""

import json

import pytest

from pipeline.config import json_schema
from pipeline.config.dataset import SHIPPED
from tests.deploy.conftest import checker  # noqa: F401 - a fixture.

GOOD = """name = "shop"
schema = "schema.pbtxt"
[spans]
pattern = "{YYYY}/{MM}/{DD}/*.csv"
window = 8
[spans.csv]
delimiter = ";"
dates = { "signed up" = "%d.%m.%Y" }
[label]
column = "Churn"
positive = ["Yes", "yes"]
[features]
numeric = ["Price in $", "age"]
hashed = { agent = 100 }
never = ["id"]
[features.derived]
rate = "`Price in $` / age"
[gate]
max_model_age_days = 90
[gate.severity.age]
out_of_range = "ignore"
[serving]
model_name = "shop"
"""


@pytest.fixture
def validate(checker, tmp_path):  # noqa: F811 - the fixture.
    def run(*files):
        arguments = ["check-jsonschema", "--schemafile", json_schema.FILE, "--verbose", "--output-format", "json"]
        status, said = checker("check-jsonschema==0.39.0", *arguments, *files)
        found = json.loads(said)
        return status, {error["path"]: error["message"] for error in found.get("errors", [])}, found

    return run


def test_what_the_program_reads_is_valid(validate, tmp_path):
    (tmp_path / "shop.toml").write_text(GOOD)

    status, errors, found = validate(tmp_path / "shop.toml", *SHIPPED.glob("*/dataset.toml"))

    assert (status, errors) == (0, {}), found


def test_what_the_program_refuses_is_underlined(validate, tmp_path):
    bad = GOOD.replace("window = 8", "window = 0").replace('delimiter = ";"', 'delimeter = ";"').replace("90", '"old"')
    bad = bad.replace('"ignore"', '"blocks"').replace('name = "shop"\nschema', 'name = "My shop"\nschema')
    (tmp_path / "shop.toml").write_text(bad.replace('[serving]\nmodel_name = "shop"\n', ""))

    status, errors, _ = validate(tmp_path / "shop.toml")

    assert status == 1
    assert sorted(errors) == [
        "$",
        "$.gate.max_model_age_days",
        "$.gate.severity.age.out_of_range",
        "$.name",
        "$.spans.csv",
        "$.spans.window",
    ]
    assert "'serving' is a required property" in errors["$"]
    assert "'delimeter' was unexpected" in errors["$.spans.csv"]


def test_the_published_file_is_up_to_date():
    assert json_schema.FILE.read_text(encoding="utf-8") == json_schema.text(), "run `make docs`"


def test_each_key_says_what_it_means():
    window = json_schema.schema()["properties"]["spans"]["properties"]["window"]

    assert window == {
        "description": "how many of the newest spans a model is trained on.",
        "type": "integer",
        "minimum": 1,
        "maximum": 10_000,
        "default": 4,
    }
