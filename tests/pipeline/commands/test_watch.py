"""A watcher that waits for spans is in nobody's way."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import local_runner
from pipeline.commands import watch
from pipeline.errors import RootBusyError
from pipeline.runs import execute
from pipeline.runs.outcome import Outcome
from pipeline.state import span_records
from pipeline.state.root import Root
from tests.helpers.records import record

RUNNER = Path(local_runner.__file__)


def test_the_root_is_free_while_there_is_nothing_to_do(tmp_path):
    (tmp_path / "spans").mkdir()
    root = Root(tmp_path / "root")
    command = [sys.executable, str(RUNNER), "watch", "--root", str(root.path), "--poll", "600"]
    command += ["--data-root", str(tmp_path / "spans")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as watcher:
        try:
            # Said while the watcher has the root.
            assert watcher.stderr.readline().startswith("watching ")
            while watcher.poll() is None:
                with contextlib.suppress(RootBusyError), root.locked():
                    break
            assert watcher.poll() is None
        finally:
            watcher.terminate()
        assert watcher.wait(60) == 0


def test_without_a_schema_it_says_what_to_type_and_ends(tmp_path, capsys):
    (tmp_path / "spans").mkdir()
    file = tmp_path / "dataset.toml"
    file.write_text('name = "toy"\n[label]\ncolumn = "y"\n[features]\nnumeric = ["x"]\n[serving]\nmodel_name = "toy"\n')

    status = local_runner.main(
        [
            "watch",
            "--once",
            "--dataset",
            str(file),
            "--root",
            str(tmp_path / "root"),
            "--data-root",
            f"{tmp_path}/spans",
        ]
    )

    assert status == 2
    error = capsys.readouterr().err
    assert f"python local_runner.py run --dataset {file} --root {tmp_path}/root --data-root {tmp_path}/spans" in error
    assert not (tmp_path / "root").exists()


def fails(span):
    raise ValueError("the disk is full")


def is_refused_later(span):
    return Outcome(result="refused", span=span, nodes=[], refusal="none of the spans has labels")


@pytest.mark.parametrize(
    ("end", "why"), [(fails, "the disk is full"), (is_refused_later, "none of the spans has labels")]
)
def test_a_span_whose_run_does_not_come_to_its_end_after_the_gate_is_tried_again_and_then_set_aside(
    tmp_path, monkeypatch, end, why
):
    for span in (1, 2):
        (tmp_path / "spans" / f"span-{span}").mkdir(parents=True)
        (tmp_path / "spans" / f"span-{span}" / "data.csv").write_text("x\n")
    root = Root(tmp_path / "root")
    tried = []

    def process(_request, waiting, *_):
        tried.append(waiting.span)
        span_records.write_record(str(root.state), record(waiting.span, verdict="rerun"))
        return end(waiting.span)

    monkeypatch.setattr(watch, "process", process)

    status = local_runner.main(
        ["watch", "--once", "--root", str(root.path), "--data-root", str(tmp_path / "spans"), "--tries", "2"]
    )

    assert status == 0
    assert tried == [1, 1, 2, 2]
    assert json.loads((root.path / "quarantine.json").read_text()) == {"1/0": why, "2/0": why}


def test_a_span_whose_run_fails_has_a_report_as_with_run(tmp_path, monkeypatch):
    (tmp_path / "spans" / "span-1").mkdir(parents=True)
    (tmp_path / "spans" / "span-1" / "data.csv").write_text("x\n")
    root = Root(tmp_path / "root")
    monkeypatch.setattr(execute, "preload", lambda: None)
    monkeypatch.setattr(execute, "execute", lambda request, **_: fails(request.span))
    # In the run's own process, so what it does is seen in files.
    monkeypatch.setattr(watch, "write_report", lambda root, run_id, _: (root.path / "reported").write_text(run_id))

    local_runner.main(
        ["watch", "--once", "--root", str(root.path), "--data-root", str(tmp_path / "spans"), "--tries", "1"]
    )

    assert (root.path / "reported").read_text()
