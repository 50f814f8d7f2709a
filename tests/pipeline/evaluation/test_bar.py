"""Who clears the bar; every interval by hand, with 1.6449 and 0.8416 as the normal quantiles at 95 and 80 %."""

import pytest

from pipeline.evaluation.bar import Bar


def bar(candidate, value=0.5, error=0.02, metric="auc", baseline="majority"):
    return Bar(baseline=baseline, metric=metric, candidate=candidate, value=value, error=error)


@pytest.mark.parametrize(
    ("candidate", "error", "cleared"),
    [
        (0.534, 0.02, True),  # 1.6449 * 0.02 = 0.0329
        (0.531, 0.02, False),  # Ahead, but chance brings as much.
        (0.49, 0.02, False),
        (0.51, 0.04, False),  # 2.4865 * 0.04 = 0.0995: 0.6 would still be seen four times in five.
        (0.51, 0.05, True),  # It would not: with so few rows only what is not better at all is refused.
        (0.5, 0.05, False),
        (0.501, None, True),  # Without replicates the values alone decide.
        (0.5, None, False),
    ],
)
def test_a_useless_model_is_refused_and_a_small_table_is_not(candidate, error, cleared):
    assert bar(candidate, error=error).cleared is cleared


def test_a_lower_error_is_better():
    assert bar(8.0, 10.0, 0.5, "mean_absolute_error").cleared
    assert not bar(9.5, 10.0, 0.5, "mean_absolute_error").cleared
    assert not bar(10.5, 10.0, 0.5, "mean_absolute_error").cleared


def test_what_came_of_it_is_said_in_numbers():
    assert bar(0.9).words == "better than no model with AUC 0.5000"
    assert bar(0.51, error=0.2).words == "better than no model with AUC 0.5000 (too few rows to tell it from chance)"
    assert bar(0.49).words == "AUC 0.4900 is no better than no model with AUC 0.5000 ([evaluation] must_beat)"
    assert bar(0.91, 0.9, 0.008, baseline="linear").words == (
        "AUC 0.9100 is better than a linear model with AUC 0.9000 by 0.0100, which chance alone brings too: beyond it "
        "lies 0.0132 ([evaluation] must_beat)"
    )
