"""Writes docs/cli.md: the exit statuses, and the `--help` of every command of both runners.

python -m docs.cli
"""

import os
from pathlib import Path

import kubeflow_runner
import local_runner
from pipeline.commands.table import Runner
from pipeline.errors import ExitStatus

FILE = Path(__file__).with_suffix(".md")
_WIDTH = "110"
_HEAD = """# The command lines

`make docs` writes this page from the programs themselves. Results go to standard output, everything else to standard
error. `--json` prints JSON on standard output and nothing else there.

## Exit statuses
What ends a command is one line on standard error, with the path of the log where there is one. A reader that closes the
pipe (`status | head -1`) is no error.

| status | meaning |
|---:|---|
"""


def page() -> str:
    """Returns the whole page."""
    statuses = "".join(f"| {status.value} | {status.meaning} |\n" for status in ExitStatus)
    runners = (local_runner.RUNNER, kubeflow_runner.RUNNER)
    return _HEAD + statuses + "".join(_section(runner) for runner in runners)


def _section(runner: Runner) -> str:
    helps = "".join(f"\n### {one.name}\n{_block(runner.parser_of(one.name).format_help())}" for one in runner.commands)
    return f"\n## {runner.prog}\n{_block(runner.parser(None).format_help())}{helps}"


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"


def main() -> None:
    """Writes the page."""
    os.environ["COLUMNS"] = _WIDTH  # What argparse wraps at.
    FILE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
