"""The wheel in an environment of its own: every command works in any folder, under its own name.

The environment is new and holds the wheel alone. What the wheel requires comes from the environment that runs the
tests, through a .pth file, which takes seconds where installing it takes minutes. `doctor` compares the versions.
"""

import json
import os
import shlex
import shutil
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import kubeflow_runner
import local_runner
from tests.e2e.conftest import REPOSITORY, TIMEOUT_S

pytestmark = pytest.mark.e2e

PACKAGES = ("columnar", "data", "driftgate", "models", "monitoring", "pipeline", "serving")
FILES = ("setup.py", "pyproject.toml", "README.md", "local_runner.py", "kubeflow_runner.py")
RAISES = "raise SystemExit('a stranger of the same name was imported')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(REPOSITORY / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        source,
        "--no-deps",
        "--no-build-isolation",
        "-w",
        source / "wheel",
    ]
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    (path,) = (source / "wheel").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """The folder of an environment's programs."""
    environment = tmp_path_factory.mktemp("environment")
    programs = environment / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    home = Path(sys.base_prefix) / "bin"
    (environment / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    packages.mkdir(parents=True)
    (packages / "required.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "--offline", "--no-deps", "--python"]
    subprocess.run([*uv, programs / "python", wheel], capture_output=True, check=True, timeout=TIMEOUT_S)
    return programs


@pytest.fixture
def folder(tmp_path):
    """A person's own folder, in which packages of the same names lie."""
    for package in (*PACKAGES, "local_runner"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(RAISES)
    return tmp_path


def run(programs, folder, line, **variables):
    path = os.pathsep.join([str(programs), os.defpath])
    environment = {**os.environ, "PATH": path, "COLUMNS": "120", **variables}
    environment.pop("PYTHONPATH", None) if "PYTHONPATH" not in variables else None
    return subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def test_the_wheel_holds_what_git_tracks_of_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    code = {path.relative_to(REPOSITORY).as_posix() for one in PACKAGES for path in (REPOSITORY / one).rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == {*code, "local_runner.py", "kubeflow_runner.py"}
    assert {
        "data/taxi/dataset.toml",
        "data/taxi/schema.pbtxt",
        "pipeline/report/templates/run.html",
        "pipeline/config/dataset.schema.json",
    } <= names


def test_help_lists_the_commands_of_both_runners_under_the_installed_name(programs, folder):
    done = run(programs, folder, "driftgate --help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: driftgate [-h]")
    for command in (*local_runner.RUNNER.commands, *kubeflow_runner.RUNNER.commands):
        assert f"    {command.name} " in done.stdout
    assert "usage: driftgate predict [-h]" in run(programs, folder, "driftgate predict --help").stdout


def test_init_prints_the_next_command_under_the_installed_name(programs, folder):
    rows = "".join(f"{number % 17},{'ab'[number % 2]},{'yes' if number % 17 > 8 else 'no'}\n" for number in range(400))
    (folder / "my rows.csv").write_text("amount,kind,late\n" + rows)

    made = run(programs, folder, "driftgate init 'my rows.csv' --label late")
    following = made.stdout.strip().splitlines()[-1].removeprefix("Next: ")

    assert following == "driftgate run --dataset my-rows", made.stderr
    looked = run(programs, folder, "driftgate status --dataset my-rows")
    assert "Nothing has run here yet. Try: driftgate run --dataset my-rows" in looked.stdout


EXECUTE = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

sys.path.insert(0, "")  # As a kernel does: the notebook's own folder comes first.
shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        done = shell.run_cell("".join(cell["source"]))
        done.raise_error()
        if done.result is not None:
            shown = shell.display_formatter.format(done.result)[0]
            print("SHOWN", json.dumps([type(done.result).__name__, shown.get("text/html", "")]))
"""


def test_the_notebook_of_the_docs_goes_from_a_file_to_a_pushed_model(programs, folder):
    """Beside folders of our packages' names that must not be imported: only the API's own name is first come."""
    shutil.rmtree(folder / "driftgate")
    (folder / "execute.py").write_text(EXECUTE)

    done = run(programs, folder, f"python execute.py {shlex.quote(str(REPOSITORY / 'docs' / 'notebook.ipynb'))}")

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("SHOWN ")]
    assert [kind for kind, _ in shown] == [
        *("Dataset", "Run", "DataFrame", "Run", "DataFrame", "Drift", "DataFrame"),
    ]
    page, explained, drawing = shown[1][1], shown[3][1], shown[5][1]
    assert page.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert "driftgate run" not in page  # It is the page as it is on the disk.
    assert explained.startswith("<p><b>SKIP span 1</b></p><ul><li>")
    assert "&lt;svg" in drawing
    status = json.loads(run(programs, folder, "driftgate status --dataset tumours --json").stdout)
    assert status["root"] == str(folder / "tumours" / "runs")
    assert len(status["versions"]) == 1


def test_a_package_of_the_same_name_on_pythonpath_is_named(programs, folder):
    shutil.rmtree(folder / "driftgate")

    done = run(programs, folder, "driftgate status", PYTHONPATH=".")

    assert done.returncode == 2
    assert done.stderr.startswith("error: Python finds ")
    assert "'columnar'" in done.stderr
    assert "PYTHONPATH" in done.stderr


def test_doctor_knows_an_installation(programs, folder):
    script = "from pipeline.environment import doctor; print(doctor.check_environment())"

    done = run(programs, folder, f'python -P -c "{script}"')

    packages = sysconfig.get_path("purelib", "venv", {"base": str(programs.parent)})
    expected = f"installed in {packages}, with all that it requires"
    assert done.stdout == f"Finding(name='environment', found={expected!r}, remedy='')\n", done.stderr
