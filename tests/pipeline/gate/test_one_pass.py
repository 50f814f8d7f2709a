"""One pass over a span counts all of its rows and keeps a sample of the large ones."""

import numpy as np
import pyarrow as pa
import pytest

from columnar.fingerprint import fingerprint
from pipeline.gate import one_pass, quality, repeats, words
from pipeline.gate.policy import GatePolicy
from pipeline.gate.settings import Settings
from tests.helpers.windows import FEATURES, SCHEMA, rows
from tests.pipeline.gate.test_repeats import decide, live  # noqa: F401

SETTINGS = Settings(features=FEATURES, policy=GatePolicy())


class Once:
    """Rows that can be read once, in small batches, as from a stream."""

    def __init__(self, table):
        self._batches = iter(table.to_batches(max_chunksize=100))

    def to_batches(self):
        return self._batches


def read(table, waiting=None):
    return one_pass.read(Once(table), waiting or {}, SCHEMA, SETTINGS, None)


def test_a_small_span_is_compared_as_a_whole():
    table = rows(450, 1)

    found = read(table)

    assert (found.rows, found.labelled, found.fingerprint) == (450, 450, fingerprint(table.to_batches()))
    assert found.sample.equals(table)
    assert found.positions.tolist() == list(range(450))
    assert found.hashes.tolist() == repeats.hashes_of(table.to_batches(), FEATURES.columns).tolist()
    assert quality.judge(found.quality, SCHEMA, FEATURES, SETTINGS.policy) == quality.check(
        table, SCHEMA, FEATURES, SETTINGS.policy
    )


def test_waiting_spans_come_first_and_are_no_part_of_the_content():
    table, earlier = rows(450, 1), rows(50, 2)

    found = read(table, {3: Once(earlier)})

    assert found.sample.equals(pa.concat_tables([earlier, table]))
    assert (found.rows, found.quality.rows) == (500, 450)
    assert found.fingerprint == fingerprint(table.to_batches())


def test_of_a_large_span_a_random_sample_is_kept(monkeypatch):
    monkeypatch.setattr(one_pass, "MOST_COMPARED", 1_000)
    table = rows(25_000, 1).append_column("number", pa.array(np.arange(25_000)))

    found = read(table)

    assert found.sample.num_rows == 1_000
    assert found.sample["number"].to_pylist() == found.positions.tolist()
    # Every row is as likely: 1,000 of 25,000 numbers have a mean of 12,500 with a standard error of 228.
    assert found.positions.mean() == pytest.approx(12_500, abs=4 * 228)
    assert (np.diff(found.positions) > 0).all()
    assert read(table).sample.equals(found.sample)


def test_copies_are_counted_among_all_rows_and_left_out_of_the_sample(monkeypatch, live, quarters):  # noqa: F811
    monkeypatch.setattr(one_pass, "MOST_COMPARED", 400)
    table = pa.concat_tables([quarters[9], quarters[7].slice(0, 120)])

    decision = decide(live, table)

    assert decision.evidence.rows == table.num_rows
    assert decision.evidence.left_out == 120
    assert 300 < decision.evidence.drift.rows < 400
    assert "of them drawn to be compared" in words.rows(decision.evidence)
