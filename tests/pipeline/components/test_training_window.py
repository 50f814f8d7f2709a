"""Which spans a model is trained on."""

from pipeline.components.training_window import choose_spans
from pipeline.spans import SpanFile
from tests.pipeline.test_state import record


def files(*spans, version=0):
    return {span: [SpanFile(span=span, version=version, path=f"span-{span}")] for span in spans}


def test_the_last_spans_up_to_the_newest():
    assert list(choose_spans(files(1, 2, 4, 5, 6, 7), {}, newest=6, size=3)) == [4, 5, 6]
    assert list(choose_spans(files(5), {}, newest=5, size=3)) == [5]


def test_a_blocked_span_is_left_out_and_an_older_one_takes_its_place():
    records = {4: record(4, verdict="block")}

    assert list(choose_spans(files(2, 3, 4, 5), records, newest=5, size=3)) == [2, 3, 5]


def test_a_corrected_version_of_a_blocked_span_is_taken():
    records = {4: record(4, version=0, verdict="block")}

    assert list(choose_spans(files(3, 4, 5, version=1), records, newest=5, size=3)) == [3, 4, 5]
