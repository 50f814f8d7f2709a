"""docs/cli.md says what the programs say."""

import argparse
import re

import kubeflow_runner
import local_runner
from docs import cli
from pipeline.errors import ExitStatus
from pipeline.runs.outcome import Result


def words(text):
    """Where lines break differs between Python's versions."""
    return " ".join(text.split())


def test_the_page_is_up_to_date(monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")

    assert words(cli.FILE.read_text()) == words(cli.page()), "run `make docs`"


def test_every_command_and_every_option_is_on_the_page():
    text = cli.FILE.read_text()

    for runner in (local_runner.RUNNER, kubeflow_runner.RUNNER):
        for command in runner.commands:
            section = text.split(f"\n### {command.name}\n")[1].split("\n### ")[0]
            for action in runner.parser_of(command.name)._actions:
                if action.help != argparse.SUPPRESS:
                    assert all(option in section for option in action.option_strings), (command.name, action)


def test_each_exit_status_is_documented_once():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", cli.FILE.read_text(), re.MULTILINE)

    assert rows == [(str(status.value), status.meaning) for status in ExitStatus]
    assert [status.value for status in ExitStatus] == [0, 1, 2, 3, 4, 5, 130, 143]


def test_each_way_to_end_a_run_is_documented_with_its_exit_status():
    text = (cli.FILE.parent / "pipeline.md").read_text().split("## How a run ends\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| .+ \|$", text, re.MULTILINE)

    assert sorted(rows) == sorted((result.value, str(result.exit_status.value)) for result in Result)
