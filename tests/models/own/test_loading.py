"""Own code is loaded under a private name, its own files first, and what it raises names its line."""

import inspect
import sys

import pytest

import models
from models.errors import OwnCodeError
from models.own import loading, source
from tests.models.own.test_source import write


def test_its_own_files_come_before_packages_and_for_itself_alone(tmp_path):
    write(
        tmp_path,
        model="import json\nimport models.features\nfrom models import features\nfrom models.features import KEY\n"
        "def build_model(spec): return models.features.KEY, features.KEY, KEY, json.dumps(spec)\n",
        models__features="KEY = 'mine'\n",
    )
    before = set(sys.path)

    build = loading.function(source.read(tmp_path, "model.py"), "build_model")

    assert build([1]) == ("mine", "mine", "mine", "[1]")
    assert sys.modules["models"] is models
    assert set(sys.path) == before


def test_the_lines_of_a_function_can_be_read(tmp_path):
    write(tmp_path, model="def build_model(spec):\n    return 7\n")

    module = loading.load(source.read(tmp_path, "model.py"))

    assert inspect.getsource(module.build_model) == "def build_model(spec):\n    return 7\n"


def test_what_it_raises_names_the_last_line_of_its_own(tmp_path):
    write(
        tmp_path,
        model="from . import net\ndef build_model(spec):\n    return net.build(spec)\n",
        net="import json\n\ndef build(spec):\n    return json.loads(spec)\n",
    )

    with pytest.raises(OwnCodeError, match=r"^net\.py, line 4: build_model: JSONDecodeError: Expecting value"):
        loading.function(source.read(tmp_path, "model.py"), "build_model")("?")


def test_a_name_that_a_package_does_not_have_is_told_when_it_is_loaded(tmp_path):
    write(tmp_path, model="\nfrom json import nothing\ndef run_fn(fn_args): ...\n")

    with pytest.raises(OwnCodeError, match=r"^model\.py, line 2: loading: ImportError: cannot import name 'nothing'"):
        loading.load(source.read(tmp_path, "model.py"))


@pytest.mark.parametrize(
    ("declared", "arguments"), [("(inputs)", 1), ("(inputs, custom_config)", 2), ("(a, b=1)", 2), ("(*a)", sys.maxsize)]
)
def test_it_is_called_with_what_it_takes(tmp_path, declared, arguments):
    write(tmp_path, model=f"def preprocessing_fn{declared}: ...\n")

    assert loading.takes(source.read(tmp_path, "model.py"), "preprocessing_fn") == arguments
