"""A watcher that waits for spans is in nobody's way."""

import contextlib
import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import local_runner
from pipeline.commands import watch
from pipeline.errors import RootBusyError
from pipeline.ingest import spans
from pipeline.runs import execute
from pipeline.runs.outcome import Outcome
from pipeline.state import span_records
from pipeline.state.root import Root
from tests.helpers.datasets import own_dataset
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
    raise OSError(errno.ENOSPC, "No space left on device")


def is_refused_later(span):
    return Outcome(result="refused", span=span, nodes=[], refusal="none of the spans has labels")


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (fails, "the disk is full. Make room and run the same command again."),
        (is_refused_later, "none of the spans has labels"),
    ],
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
    entries = json.loads((root.path / "quarantine.json").read_text())
    assert {name: entry["why"] for name, entry in entries.items()} == {"1/0": why, "2/0": why}


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


def is_skipped(root, waiting):
    files = spans.identity(waiting.files)
    span_records.write_record(str(root.state), dataclasses.replace(record(waiting.span), files=files))
    return Outcome(result="done", span=waiting.span, nodes=[])


def test_a_quarantined_span_that_is_corrected_in_place_is_taken_again_and_said(tmp_path, monkeypatch, capfd):
    file = tmp_path / "spans" / "span-1" / "data.csv"
    file.parent.mkdir(parents=True)
    file.write_text("x\n")
    root = Root(tmp_path / "root")
    argv = ["watch", "--once", "--root", str(root.path), "--data-root", f"{tmp_path}/spans", "--tries", "1"]
    monkeypatch.setattr(watch, "process", lambda _request, waiting, *_: fails(waiting.span))
    local_runner.main(argv)
    monkeypatch.setattr(watch, "process", lambda _request, waiting, *_: is_skipped(root, waiting))
    local_runner.main(argv)
    assert not list(root.state.iterdir())

    file.write_text("x\n1\n")
    capfd.readouterr()
    local_runner.main(argv)

    assert "span 1: its files changed after it was set aside; it is taken again" in capfd.readouterr().err
    assert (root.state / "span-1-version-0.json").exists()
    assert json.loads((root.path / "quarantine.json").read_text()) == {}


def test_a_span_without_its_marker_is_said_and_taken_once_it_is_there(tmp_path, monkeypatch, capfd):
    dataset = own_dataset(tmp_path / "mine", 'data = "spans"\nmarker = "_SUCCESS"')
    for span in (1, 2):
        folder = tmp_path / "mine" / "spans" / f"span-{span}"
        folder.mkdir(parents=True)
        (folder / "data.csv").write_text("x\n")
    (folder.parent / "span-1" / "_SUCCESS").touch()
    root = Root(tmp_path / "root")
    monkeypatch.setattr(watch, "process", lambda _request, waiting, *_: is_skipped(root, waiting))
    argv = ["--dataset", str(dataset.path.parent), "--root", str(root.path)]

    local_runner.main(["watch", "--once", *argv])

    waiting = f"span 2 waits for its marker {folder}/_SUCCESS"
    assert capfd.readouterr().err.splitlines().count(waiting) == 1
    assert [path.name for path in root.state.iterdir()] == ["span-1-version-0.json"]
    local_runner.main(["status", *argv])
    assert waiting in capfd.readouterr().out
    local_runner.main(["spans", *argv])
    # The rest folds where the folder's name is long.
    assert "not complete, version 0 waits for its marker" in capfd.readouterr().out
    local_runner.main(["spans", "--json", *argv])
    listed = json.loads(capfd.readouterr().out)
    assert listed["spans"][1]["waits_for"] == f"version 0 waits for its marker {folder}/_SUCCESS"
    assert listed["next"] is None

    (folder / "_SUCCESS").touch()
    local_runner.main(["watch", "--once", *argv])

    assert (root.state / "span-2-version-0.json").exists()
    assert "waits" not in capfd.readouterr().err


def test_a_run_refuses_a_span_without_its_marker(tmp_path, capsys):
    dataset = own_dataset(tmp_path / "mine", 'data = "spans"\nmarker = "_SUCCESS"')
    (tmp_path / "mine" / "spans" / "span-3").mkdir(parents=True)
    (tmp_path / "mine" / "spans" / "span-3" / "data.csv").touch()

    status = local_runner.main(["run", "--dataset", str(dataset.path.parent), "--root", str(tmp_path / "root")])

    assert status == 2
    assert "error: Span 3 is not complete: its marker" in capsys.readouterr().err


def test_spans_says_what_may_still_be_written(tmp_path, capsys):
    file = tmp_path / "spans" / "span-1" / "data.csv"
    file.parent.mkdir(parents=True)
    file.write_text("x\n")
    os.utime(file, (4_000_000_000, 4_000_000_000))  # A time to come counts as now.

    local_runner.main(["spans", "--json", "--root", str(tmp_path / "root"), "--data-root", f"{tmp_path}/spans"])

    (row,) = json.loads(capsys.readouterr().out)["spans"]
    assert (
        row["waits_for"]
        == "waits: data.csv changed a moment ago and may be unfinished; 5.0 s more ([spans] settle_seconds)"
    )
