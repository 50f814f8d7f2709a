"""What a person can paste depends on where the program lies, on the folder and on the PATH."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import REPOSITORY, program


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A folder that is not the checkout, and a PATH that leads nowhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_in_the_checkout_with_its_environment_active(monkeypatch):
    monkeypatch.chdir(REPOSITORY)

    assert program.line("run", "--dataset", "my data") == "python local_runner.py run --dataset 'my data'"
    assert program.line("compile", runner="kubeflow_runner.py") == "python kubeflow_runner.py compile"


def test_in_the_checkout_without_its_environment_the_interpreter_is_named(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", str(REPOSITORY / ".venv" / "bin" / "python"))

    assert program.line("run") == ".venv/bin/python local_runner.py run"


def test_elsewhere_both_paths_are_whole(elsewhere):
    assert program.words() == [sys.executable, str(REPOSITORY / "local_runner.py")]


def test_a_printed_command_runs_where_it_was_printed(elsewhere):
    done = subprocess.run(program.line("status", "--help"), shell=True, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("usage: python local_runner.py status")


def test_the_installed_command_is_named_by_its_name_alone_where_the_path_leads_to_it(monkeypatch, elsewhere):
    command = elsewhere / "driftgate"
    command.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(command), "run"])

    assert program.name() == program.name("kubeflow_runner.py") == "driftgate"
    assert program.line("run") == "driftgate run"


def test_the_installed_command_is_named_by_its_path_where_the_path_leads_to_another(monkeypatch, elsewhere):
    monkeypatch.setattr(sys, "argv", ["/opt/env/bin/driftgate", "run"])

    assert program.line("run") == "/opt/env/bin/driftgate run"


def test_an_installation_has_no_runners(monkeypatch, elsewhere):
    monkeypatch.setattr(program, "CHECKOUT", False)
    monkeypatch.setattr(sys, "argv", [str(Path("a/local_runner.py"))])

    assert program.name() == "driftgate"
    assert program.install("vertex") == "pip install 'driftgate[vertex]'"
