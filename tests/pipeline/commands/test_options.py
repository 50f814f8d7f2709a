"""Commands that are printed for a person to paste act on the dataset and the root that the person meant."""

import argparse
import importlib.util
import shlex

import pytest

import local_runner
from pipeline.commands import options
from pipeline.state.root import Root
from tests.helpers import task_datasets
from tests.helpers.versions import add


def parse(*argv):
    return local_runner.RUNNER.parser(argv[0]).parse_args(argv)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "python local_runner.py run"),
        (["--dataset", "taxi"], "python local_runner.py run"),
        (["--dataset", "flights"], "python local_runner.py run --dataset flights"),
        (["--dataset", "my data/d.toml"], "python local_runner.py run --dataset 'my data/d.toml'"),
        (["--root", "/r"], "python local_runner.py run --root /r"),
        (["--data-root", "/d"], "python local_runner.py run --data-root /d"),
    ],
)
def test_a_hint_repeats_what_the_user_said(given, expected):
    assert options.hint(parse("spans", *given), "run", with_data=True) == expected


def test_a_hint_for_a_command_without_data_names_none():
    args = argparse.Namespace(dataset="flights", root=None, data_root="/d")

    assert options.hint(args, "rollback", "--undo") == "python local_runner.py rollback --dataset flights --undo"


def test_the_printed_undo_takes_back_this_very_rollback(tmp_path, capsys):
    root = Root(tmp_path / "a root")
    for number in (10, 20):
        add(root.serving("flights"), number)
    assert local_runner.main(["rollback", "--dataset", "flights", "--root", str(root.path)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Back again:")]

    python, program, *argv = shlex.split(line.removeprefix("Back again:"))

    assert (python, program) == ("python", "local_runner.py")
    assert local_runner.main(argv) == 0
    assert "which is version 20 again" in capsys.readouterr().out


def test_status_names_a_dataset_that_exists(tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "dataset.toml").write_text(
        'name = "another"\n[label]\ncolumn = "y"\n[features]\nnumeric = ["x"]\n[serving]\nmodel_name = "m"\n'
    )
    local_runner.main(["status", "--dataset", str(folder), "--root", str(tmp_path / "root")])
    printed = " ".join(capsys.readouterr().out.split())

    hint = printed.partition("Nothing has run here yet. Try: ")[2]
    assert hint == f"python local_runner.py run --dataset {folder} --root {tmp_path}/root"


@pytest.mark.parametrize(
    ("argv", "status", "expected"),
    [
        (["status"], 0, ["run"]),
        (["clean"], 2, ["run"]),
        (["rollback"], 2, ["run"]),
        (["report"], 1, ["run"]),
        (["report", "--span", "3"], 1, ["run", "--span", "3"]),
        (["drift", "--span", "1", "--data-root", "{data}"], 2, ["run", "--data-root", "{data}"]),
        (["predict", "--batch", "--span", "1", "--output", "x.csv"], 2, ["run"]),
        (["predict", __file__], 1, ["serve", "--model-name", "taxi", "--model-base-path", "{root}/serving/taxi"]),
        (
            ["monitor", "--log-dir", "{root}/log dir", "--once"],
            2,
            [
                "serve",
                "--model-name",
                "taxi",
                "--model-base-path",
                "{root}/serving/taxi",
                "--log-dir",
                "{root}/log dir",
            ],
        ),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_a_command_without_its_needs_prints_can_be_pasted(
    tmp_path, capsys, monkeypatch, taxi_root, argv, status, expected
):
    # Nobody listens on port 9 (discard) of this machine.
    monkeypatch.setattr("pipeline.commands.predict.LOCAL_SERVER", "http://127.0.0.1:9")
    places = {"root": tmp_path / "a root", "data": taxi_root}
    given = [word.format(**places) for word in argv]

    assert local_runner.main([*given, "--root", str(places["root"])]) == status

    printed = "".join(capsys.readouterr())
    (line,) = [line for line in printed.splitlines() if "local_runner.py" in line]
    words = shlex.split(line[line.index("python local_runner.py") :])
    wanted = [word.format(**places) for word in expected]
    root = [] if wanted[0] == "serve" else ["--root", str(places["root"])]
    assert sorted(words[2:]) == sorted([*wanted, *root])
    parse(*words[2:])


def test_status_after_a_refused_first_span_says_so(tmp_path, capsys):
    root = Root(tmp_path)
    root.runs.write_text('{"ended_at": 2, "result": "refused", "seconds": {}, "span": 6, "started_at": 1}\n')

    local_runner.main(["status", "--root", str(tmp_path)])

    out = capsys.readouterr().out
    assert "last run    span 6: refused\n" in out
    assert "Nothing has run here yet" not in out


def test_a_run_that_would_miss_the_extra_trees_says_so_before_it_begins(tmp_path, monkeypatch, capsys):
    folder, root, find = tmp_path / "rides", tmp_path / "root", importlib.util.find_spec
    task_datasets.write(folder, "regression", spans=1, learner="trees")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lightgbm" else find(name))

    assert local_runner.main(["run", "--dataset", str(folder), "--root", str(root)]) == 2

    said = "[model]: learner: trees needs LightGBM, which is not installed. Run: pip install 'driftgate[trees]'"
    assert capsys.readouterr().err.strip().endswith(f"dataset.toml {said}")
    assert not root.exists()
