"""What waits, what is done and what was set aside."""

import json

import pytest

from pipeline.errors import PipelineError
from pipeline.state import backlog, span_records
from pipeline.state.backlog import Waiting
from pipeline.state.root import Root

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


def waiting(root):
    return list(backlog.unprocessed(root, str(root.path.parent / "data"), PATTERN))


def record(root, span, version):
    values = {"fingerprint": "", "rows": 1, "verdict": "skip", "accepted": True, "waiting": False, "examples_uri": ""}
    span_records.write_record(
        str(root.state), span_records.SpanRecord(span=span, version=version, decided_at=0, **values)
    )


def test_the_newest_version_of_each_span_waits_oldest_first(root):
    assert waiting(root) == [Waiting(2, 1), Waiting(3, 0), Waiting(10, 0)]


def test_a_record_ends_the_waiting_of_its_version_only(root):
    record(root, 3, 0)
    record(root, 2, 0)

    assert waiting(root) == [Waiting(2, 1), Waiting(10, 0)]


def test_what_was_set_aside_does_not_wait_until_a_corrected_version_comes(root):
    backlog.quarantine(root, Waiting(3, 0), "line 2: expected FLOAT")
    backlog.quarantine(root, Waiting(10, 0), "empty")

    assert waiting(root) == [Waiting(2, 1)]
    assert backlog.read_quarantine(root) == {Waiting(3, 0): "line 2: expected FLOAT", Waiting(10, 0): "empty"}

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
    backlog.quarantine(root, Waiting(3, 0), "empty")

    assert json.loads((root.path / "quarantine.json").read_text()) == {"3/0": "empty"}
