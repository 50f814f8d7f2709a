"""The command line without a pipeline: help, wrong usage, and what is refused before anything heavy is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

import local_runner

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "name",
    [
        "",
        "run",
        "watch",
        "replay",
        "drift",
        "evaluate",
        "compare",
        "tune",
        "serve",
        "spans",
        "status",
        "predict",
        "rollback",
        "report",
        "monitor",
        "doctor",
    ],
)
def test_help_loads_nothing_heavy(name):
    script = (
        "import sys, local_runner\n"
        "try:\n    local_runner.main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy), 'STATUS', code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *name.split(), "--help"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )

    assert done.stdout.startswith("usage: python local_runner.py")
    assert done.stdout.endswith("HEAVY [] STATUS 0\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "--dataset", "nothing"], "There is no dataset 'nothing'. Shipped: flights, taxi."),
        (["run", "--data-root", "/nowhere"], "--data-root: there is no folder /nowhere."),
        (["run", "--span", "99"], "Span 99 does not match 'span-{SPAN}/data.csv'"),
        (["run", "--runner", "flink"], "--runner and --beam-arg need --engine beam."),
        (["watch", "--once", "--beam-arg=--parallelism=2"], "--runner and --beam-arg need --engine beam."),
        (
            ["run", "--engine", "beam", "--runner", "dataflow"],
            "dataflow needs project, region, temp_location. Give it in",
        ),
        (["drift", "--span", "1", "--plot", "x.pdf"], "--plot: expected a file name that ends in .png or .svg"),
        (["drift", "--span", "1"], "No model is live in"),
        (["monitor", "--log-dir", "/nowhere", "--once"], "--log-dir: there is no folder /nowhere."),
        (["monitor", "--log-dir", "/tmp", "--every", "0"], "--every: expected more than 0 seconds. Received: 0."),
        (["monitor", "--log-dir", "/tmp", "--labels", "/nowhere"], "--labels: there is no folder /nowhere."),
        (["replay", "--spans", "x"], "--spans: expected FIRST-LAST, such as 5-9. Received: 'x'."),
        (["replay", "--spans", "50-60"], "--spans: no span from 50 to 60."),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(tmp_path, capsys, argv, message):
    status = local_runner.main([*argv, "--root", str(tmp_path / "root")])

    err = capsys.readouterr().err
    assert status == 2
    assert err.startswith("error: ")
    assert message in err


def test_an_unknown_command_is_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        local_runner.main(["fly"])

    assert caught.value.code == 2
    assert "invalid choice: 'fly'" in capsys.readouterr().err


def test_looking_at_an_empty_root_says_what_to_do(tmp_path, capsys):
    assert local_runner.main(["status", "--root", str(tmp_path)]) == 0

    assert "Nothing has run here yet. Try: python local_runner.py run" in capsys.readouterr().out
