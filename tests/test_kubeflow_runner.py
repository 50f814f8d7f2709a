"""The command line without a pipeline: help, wrong usage, missing extras, and what `compile` writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import kubeflow_runner

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["", "compile", "rehearse", "submit"])
def test_help_loads_nothing_heavy(name):
    script = (
        "import sys, kubeflow_runner\n"
        "try:\n    kubeflow_runner.main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'tensorflow', 'tfx', 'kfp', 'google.cloud.aiplatform', 'numpy', 'celpy'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy), 'STATUS', code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *name.split(), "--help"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )

    assert done.stdout.startswith("usage: python kubeflow_runner.py")
    assert done.stdout.endswith("HEAVY [] STATUS 0\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["compile", "--dataset", "nothing"], "There is no dataset 'nothing'. Shipped: flights, taxi."),
        (["compile", "--output", "x.yaml"], "--output: vertex takes a .json file. Received: x.yaml."),
        (["compile", "--target", "kubeflow", "--output", "x.json"], "--output: kubeflow takes a .yaml file."),
        (["compile", "--span", "2017-12-01"], "are numbers: the pattern 'span-{SPAN}/data.csv' has no {YYYY}"),
        (["compile", "--pipeline-root", "ftp://x/y"], "--pipeline-root: expected gs://BUCKET/PATH"),
        (["compile", "--runner", "flink"], "--runner and --beam-arg need --engine beam."),
        (
            ["compile", "--pipeline-root", "gs://bucket/taxi", "--engine", "beam", "--runner", "dataflow"],
            "[beam], --beam-arg: --runner dataflow needs project, region, temp_location.",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(capsys, argv, message):
    status = kubeflow_runner.main(argv)

    err = capsys.readouterr().err
    assert status == 2
    assert err.startswith("error: ")
    assert message in err


@pytest.mark.parametrize(
    ("argv", "module", "extra"),
    [
        (["compile"], "google.cloud.aiplatform", "vertex"),
        (["compile", "--target", "kubeflow"], "kfp", "kubeflow"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, capsys, argv, module, extra):
    monkeypatch.setitem(sys.modules, module, None)

    status = kubeflow_runner.main(argv)

    assert status == 2
    err = capsys.readouterr().err
    assert f"This needs the extra [{extra}]; the module {module!r} is not installed." in err
    assert f"pip install '.[{extra}]'" in err


def test_compile_writes_one_file_and_says_what_is_next(tmp_path, capfd):
    output = tmp_path / "out" / "pipeline.yaml"
    argv = ["compile", "--target", "kubeflow", "--pipeline-root", "gs://bucket/taxi", "--output", str(output), "--json"]

    status = kubeflow_runner.main(argv)

    out, _ = capfd.readouterr()
    assert status == 0
    result = json.loads(out)
    assert (result["file"], result["target"], result["pipeline"]) == (str(output), "kubeflow", "taxi")
    assert result["parameters"]["span"]["defaultValue"] == -1
    assert [path.name for path in output.parent.iterdir()] == ["pipeline.yaml"]
