"""Own code is read and checked without being run: a mistake names the file and the line."""

import pytest

from models.errors import OwnCodeError
from models.own import source
from models.own.source import OwnCode


def write(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_the_files_that_are_imported_travel_along_and_others_do_not(tmp_path):
    write(
        tmp_path,
        model="from lib.features import preprocessing_fn\nimport lib.net as net\nbuild_model = net.build_model\n",
        lib__features="import math\nfrom . import names\ndef preprocessing_fn(inputs): return inputs\n",
        lib__names="KEYS = []\n",
        lib__net="from lib.names import KEYS\ndef build_model(spec): raise RuntimeError\n",
        other="raise RuntimeError\n",
    )

    own = source.read(tmp_path, "model.py")

    assert sorted(own.files) == ["lib/features.py", "lib/names.py", "lib/net.py", "model.py"]
    assert own.functions == {"preprocessing_fn", "build_model"}
    assert OwnCode.from_json(own.to_json()) == own


def test_an_edit_of_any_file_is_another_code(tmp_path):
    write(tmp_path, model="from .net import build_model\n", net="def build_model(spec): return 1\n")
    before = source.read(tmp_path, "model.py")
    write(tmp_path, net="def build_model(spec): return 2\n")

    after = source.read(tmp_path, "model.py")

    assert before.digest != after.digest
    changed = {path for path, digest in after.digests.items() if before.digests[path] != digest}
    assert changed == {"net.py"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "model.py defines none of preprocessing_fn, build_model, run_fn, metrics. It defines: x."),
        ("def build_model(spec):\n    return 1 +\n", "model.py, line 2: invalid syntax: return 1 +"),
        (
            "\ndef build_model(a, b): ...\n",
            "model.py, line 2: expected build_model(spec). Received: build_model(a, b).",
        ),
        (
            "def preprocessing_fn(inputs, *, config): ...\n",
            "model.py, line 1: expected preprocessing_fn(inputs) or (inputs, config). "
            "Received: preprocessing_fn(inputs, *, config).",
        ),
        ("async def run_fn(fn_args): ...\n", "model.py, line 1: expected a function run_fn(fn_args)."),
        (
            "import not_there\ndef run_fn(fn_args): ...\n",
            "model.py, line 1: there is no module 'not_there': neither not_there.py nor not_there/__init__.py in the "
            "folder of the dataset, nor an installed package.",
        ),
        # This project's own package is not what a template means.
        (
            "from models import features\ndef run_fn(fn_args): ...\n",
            "model.py, line 1: there is no module 'models': neither models.py nor models/__init__.py in the folder of "
            "the dataset, nor an installed package.",
        ),
        (
            "from .layers import Wide\ndef run_fn(fn_args): ...\n",
            "model.py, line 1: there is neither layers.py nor layers/__init__.py in the folder of the dataset.",
        ),
        (
            "from .. import layers\ndef run_fn(fn_args): ...\n",
            "model.py, line 1: the import leads out of the dataset's folder.",
        ),
    ],
)
def test_a_mistake_names_its_line(tmp_path, text, message):
    write(tmp_path, model=text)

    with pytest.raises(OwnCodeError) as raised:
        source.read(tmp_path, "model.py")

    assert str(raised.value) == message


@pytest.mark.parametrize("entry", ["model.txt", "/model.py", "../model.py", "my-model.py"])
def test_only_a_python_file_of_the_folder_is_taken(tmp_path, entry):
    with pytest.raises(OwnCodeError, match=r"expected a Python file in the dataset's folder, such as model\.py"):
        source.read(tmp_path, entry)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OwnCodeError, match=r"model\.py cannot be read: No such file or directory\."):
        source.read(tmp_path, "model.py")


def test_an_import_that_may_fail_is_let_be(tmp_path):
    write(tmp_path, model="try:\n    import not_there\nexcept ImportError:\n    pass\ndef run_fn(fn_args): ...\n")

    assert source.read(tmp_path, "model.py").functions == {"run_fn"}


@pytest.mark.parametrize(
    "declared",
    ["(inputs)", "(inputs, config)", "(inputs, custom_config=None)", "(*args)", "(inputs, **rest)"],
)
def test_preprocessing_may_be_declared_as_tft_and_tfx_have_it(tmp_path, declared):
    write(tmp_path, model=f"def preprocessing_fn{declared}: ...\n")

    assert source.read(tmp_path, "model.py").functions == {"preprocessing_fn"}
