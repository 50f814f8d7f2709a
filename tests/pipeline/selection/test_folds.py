import pytest

from pipeline.errors import ConfigError
from pipeline.selection.folds import Fold, plan


def test_each_of_the_newest_spans_is_predicted_from_the_window_before_it():
    assert plan([1, 2, 4, 5], window=2) == (
        Fold(span=4, trained_on=(1, 2)),
        Fold(span=5, trained_on=(2, 4)),
    )


def test_the_first_span_is_never_predicted():
    assert plan([7, 8], window=4) == (Fold(span=8, trained_on=(7,)),)


def test_named_spans_are_predicted_in_order():
    assert plan([1, 2, 3], window=1, tested=(3, 2)) == (Fold(span=2, trained_on=(1,)), Fold(span=3, trained_on=(2,)))


def test_one_span_makes_no_fold():
    with pytest.raises(ConfigError, match=r"at least two spans.*Found: 3"):
        plan([3], window=4)


def test_the_oldest_span_cannot_be_named():
    with pytest.raises(ConfigError, match=r"span 1 has no span before it to train on. Begin with 2."):
        plan([1, 2, 3], window=4, tested=(1, 2))
