"""What waits, what is done and what was set aside."""

import json
import os

import pytest

from pipeline.errors import PipelineError
from pipeline.ingest import spans
from pipeline.ingest.spans import SpanFile
from pipeline.state import backlog, span_records
from pipeline.state.backlog import SetAside, Waiting
from pipeline.state.root import Root
from tests.helpers.records import record as record_of
from tests.helpers.versions import add

PATTERN = "span-{SPAN}/v{VERSION}/data.csv"


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "root")
    root.prepare()
    for span, version in ((10, 0), (2, 0), (2, 1), (3, 0)):
        folder = tmp_path / "data" / f"span-{span}" / f"v{version}"
        folder.mkdir(parents=True)
        (folder / "data.csv").touch()
    return root


def listed(root, marker=""):
    return spans.newest_versions(str(root.path.parent / "data"), PATTERN, marker)


def waiting(root, thresholds="", marker=""):
    return list(backlog.unprocessed(root, root.serving("taxi"), listed(root, marker), thresholds))


def record(root, span, version, **values):
    span_records.write_record(str(root.state), record_of(span, version, **values))


def test_the_newest_version_of_each_span_waits_oldest_first(root):
    assert waiting(root) == [Waiting(2, 1), Waiting(3, 0), Waiting(10, 0)]


def test_a_record_ends_the_waiting_of_its_version_only(root):
    record(root, 3, 0)
    record(root, 2, 0)

    assert waiting(root) == [Waiting(2, 1), Waiting(10, 0)]


def test_a_rerun_waits_until_it_has_come_to_its_end(root):
    record(root, 2, 1, verdict="rerun")
    assert waiting(root)[0] == Waiting(2, 1)

    span_records.complete(str(root.state), 2, 1, outcome="not_blessed")
    assert waiting(root) == [Waiting(3, 0), Waiting(10, 0)]


def test_what_other_thresholds_refused_waits_again(root):
    record(root, 2, 1, verdict="rerun", outcome="not_blessed", thresholds="strict")
    record(root, 3, 0, verdict="rerun", outcome="not_blessed")  # By an older release.
    record(root, 10, 0, verdict="rerun", outcome="pushed", thresholds="strict")

    assert waiting(root, "strict") == []
    assert waiting(root, "lenient") == [Waiting(2, 1)]


def test_a_rerun_whose_version_became_visible_before_it_was_recorded_is_done(root):
    record(root, 3, 0, verdict="rerun")
    add(root.serving("taxi"), 100, [2, 3])

    assert waiting(root) == [Waiting(2, 1), Waiting(10, 0)]


def test_a_corrected_version_is_not_done_because_the_live_model_was_trained_on_the_one_before(root):
    record(root, 2, 0, verdict="rerun", outcome="pushed")
    add(root.serving("taxi"), 100, [2])
    # Killed in Trainer.
    record(root, 2, 1, verdict="rerun", live_version="100")
    assert waiting(root)[0] == Waiting(2, 1)

    add(root.serving("taxi"), 200, [2])
    assert waiting(root) == [Waiting(3, 0), Waiting(10, 0)]


def test_files_that_changed_in_place_are_taken_again_until_they_are_processed(root):
    path = root.path.parent / "data" / "span-3" / "v0" / "data.csv"
    files = [SpanFile(span=3, version=0, path=str(path), pattern=path.name)]
    record(root, 3, 0, verdict="block", files=spans.identity(files))
    assert Waiting(3, 0) not in waiting(root)

    path.write_text("x\n1\n")
    assert Waiting(3, 0) in waiting(root)

    span_records.complete(str(root.state), 3, 0, files=spans.identity(files))
    assert Waiting(3, 0) not in waiting(root)
    os.utime(path, ns=(0, 0))
    assert Waiting(3, 0) in waiting(root)


def test_a_record_of_an_older_release_knows_no_files_and_stays_done(root):
    record(root, 3, 0)
    assert Waiting(3, 0) not in waiting(root)


def test_what_was_set_aside_does_not_wait_until_a_corrected_version_comes(root):
    backlog.quarantine(root, Waiting(3, 0), SetAside("line 2: expected FLOAT"))
    backlog.quarantine(root, Waiting(10, 0), SetAside("empty"))

    assert waiting(root) == [Waiting(2, 1)]
    assert backlog.set_aside(root, listed(root)) == {3: "line 2: expected FLOAT", 10: "empty"}

    folder = root.path.parent / "data" / "span-3" / "v1"
    folder.mkdir()
    (folder / "data.csv").touch()
    assert waiting(root) == [Waiting(2, 1), Waiting(3, 1)]


@pytest.mark.parametrize("text", ["{", "[]", '{"3": "no version"}', '{"3/x": "no number"}', "{}\n{}"])
def test_a_spoiled_file_is_named(root, text):
    (root.path / "quarantine.json").write_text(text)

    with pytest.raises(PipelineError, match=r"quarantine.json is not a quarantine file: .*Repair it, or remove it"):
        waiting(root)


def test_the_file_reads_as_documented(root):
    backlog.quarantine(root, Waiting(3, 0), SetAside("empty", "1f"))

    assert json.loads((root.path / "quarantine.json").read_text()) == {"3/0": {"why": "empty", "files": "1f"}}


def test_the_file_of_an_older_release_is_read(root):
    (root.path / "quarantine.json").write_text('{"3/0": "empty"}')

    assert backlog.set_aside(root, listed(root)) == {3: "empty"}
    assert waiting(root) == [Waiting(2, 1), Waiting(10, 0)]


def test_a_quarantined_span_whose_files_change_comes_back(root):
    path = root.path.parent / "data" / "span-3" / "v0" / "data.csv"
    backlog.quarantine(root, Waiting(3, 0), SetAside("empty", spans.identity(listed(root)[3])))
    backlog.quarantine(root, Waiting(10, 0), SetAside("empty", spans.identity(listed(root)[10])))
    assert waiting(root) == [Waiting(2, 1)]

    path.write_text("x\n1\n")

    assert waiting(root) == [Waiting(2, 1), Waiting(3, 0)]
    assert backlog.set_aside(root, listed(root)) == {10: "empty"}
    assert backlog.release(root, Waiting(3, 0))
    assert not backlog.release(root, Waiting(3, 0))
    assert json.loads((root.path / "quarantine.json").read_text()).keys() == {"10/0"}


def test_a_marked_span_that_changes_later_is_a_new_version_of_itself(root):
    folder = root.path.parent / "data" / "span-3" / "v0"
    assert waiting(root, marker="_SUCCESS") == []
    (folder / "_SUCCESS").touch()
    assert waiting(root, marker="_SUCCESS") == [Waiting(3, 0)]
    record(root, 3, 0, files=spans.identity(listed(root, "_SUCCESS")[3]))
    assert waiting(root, marker="_SUCCESS") == []

    (folder / "data.csv").write_text("x\n1\n")
    (again,) = waiting(root, marker="_SUCCESS")

    assert (again, again.changed) == (Waiting(3, 0), True)
    # A marker that is written anew says nothing about the data.
    span_records.complete(str(root.state), 3, 0, files=spans.identity(listed(root, "_SUCCESS")[3]))
    os.utime(folder / "_SUCCESS", (0, 0))
    assert waiting(root, marker="_SUCCESS") == []
