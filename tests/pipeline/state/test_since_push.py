import pytest

from pipeline.errors import PipelineError
from pipeline.state import since_push
from pipeline.state.since_push import SpanCounts


def counts(span, version=0):
    return SpanCounts(span=span, version=version, counts=(span, 2))


def test_what_was_compared_since_the_push_is_read_back(tmp_path):
    since_push.write(str(tmp_path), "7", [counts(1)], counts(2))

    assert since_push.read(str(tmp_path), "7", before=3) == (counts(1), counts(2))


def test_a_span_that_comes_again_replaces_itself(tmp_path):
    since_push.write(str(tmp_path), "7", [counts(1)], counts(2))

    earlier = since_push.read(str(tmp_path), "7", before=2)
    since_push.write(str(tmp_path), "7", earlier, counts(2, version=1))

    assert since_push.read(str(tmp_path), "7", before=3) == (counts(1), counts(2, version=1))


def test_another_live_version_begins_anew(tmp_path):
    since_push.write(str(tmp_path), "7", [], counts(1))

    assert since_push.read(str(tmp_path), "8", before=3) == ()


def test_a_root_of_an_older_release_has_none(tmp_path):
    assert since_push.read(str(tmp_path), "7", before=3) == ()


def test_the_file_stays_small(tmp_path):
    since_push.write(str(tmp_path), "7", [counts(span) for span in range(1, 101)], counts(101))

    assert [item.span for item in since_push.read(str(tmp_path), "7", before=200)] == list(range(38, 102))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"live_version": "7"}', '{"live_version": 7, "spans": []}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / since_push.FILE).write_text(text)

    with pytest.raises(PipelineError, match=r"since-push.json is damaged \(.*\). Remove it: sums over several spans"):
        since_push.read(str(tmp_path), "7", before=3)
