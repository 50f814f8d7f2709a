import datetime

import numpy as np
import pyarrow as pa
import pytest

from pipeline.onboarding.calendar_parts import calendar_parts
from pipeline.onboarding.cut import Cut
from pipeline.onboarding.label import Label
from pipeline.onboarding.roles import Role

_DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(700)]
_TIME = Role(name="sold", role="time", type="BYTES", why="", missing=0.0, distinct=700)
_CYCLE = Role(name="dow", role="cyclical", type="INT", why="", missing=0.0, distinct=7, size=7)


def _cut(labels):
    sample = pa.table({"sold": pa.array(_DAYS), "dow": [day.isoweekday() for day in _DAYS]})
    return Cut(spans=(), sample=sample, labels=labels, ranges={}, without_label=0, without_time=0)


_SATURDAYS = np.array([int(day.isoweekday() == 6) for day in _DAYS])


@pytest.mark.parametrize(
    ("label", "labels"),
    [
        (Label(column="y"), _SATURDAYS),
        (Label(column="y", task="multiclass", classes=("a", "b", "c")), _SATURDAYS * 2),
        (Label(column="y", task="regression"), _SATURDAYS * 12.5),
    ],
)
def test_weekday_of_a_date_is_derived_for_every_task(label, labels):
    (part,) = calendar_parts([_TIME], label, "month", _cut(labels))

    assert (part.name, part.column, part.expression) == ("sold_weekday", "sold", "weekday(sold)")
    assert part.why == "it tells 100.0% of the label's variance"


@pytest.mark.parametrize(
    ("roles", "every", "labels"),
    [
        ([_TIME, _CYCLE], "month", _SATURDAYS),
        ([_TIME], "day", _SATURDAYS),
        ([_TIME], None, _SATURDAYS),
        ([_TIME], "month", np.random.default_rng(1).integers(0, 2, 700)),
    ],
    ids=["a column says it", "short spans", "no time", "chance"],
)
def test_weekday_is_left_out(roles, every, labels):
    assert calendar_parts(roles, Label(column="y"), every, _cut(labels)) == []
