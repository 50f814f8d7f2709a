"""Dates and times: from text to seconds since 1970 and to parts of the calendar, in numpy and TensorFlow alike.

A text is ISO 8601: `2024-03-31`, `2024-03-31T14:30`, `2024-03-31 14:30:05.25+02:00`. One with a zone is turned to UTC;
one without is taken as it stands. The fraction of a second is dropped. What is no such text, or no day of the calendar,
is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400.0
_FIELDS = 8
# RE2, which both Arrow and TensorFlow use, and whose rewrites have nine groups at most.
_ISO = (
    r"^\s*([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?)?"
    r"\s*(?:Z|UTC|([+-])([0-9]{2}):?([0-9]{2}))?\s*$"
)
_WRITTEN = r"\1,\2,\3,\4,\5,\6,\7\8,\7\9"
_NOTHING = "0,0,0,0,0,0,0,0"


def from_arrow(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Returns seconds since 1970 of a column of texts, or of whole numbers that are such seconds; NaN is missing.

    Among whole numbers, -1 is missing.
    """
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_integer(column.type):
        seconds = pc.fill_null(column, -1).to_numpy(zero_copy_only=False).astype(np.float64)
        return np.where(seconds == -1, np.nan, seconds)
    # Dates repeat: each text is read once.
    encoded = pc.fill_null(column, "").cast(pa.large_string()).dictionary_encode()
    texts = encoded.dictionary
    fits = pc.match_substring_regex(texts, _ISO)
    written = pc.if_else(fits, pc.replace_substring_regex(texts, _ISO, _WRITTEN), _NOTHING)
    split = [[_as_number(field) for field in row.split(",")] for row in written.to_pylist()]
    seconds = _seconds(np, np.array(split, np.float64).reshape(-1, _FIELDS))
    return np.asarray(seconds)[np.asarray(encoded.indices)] if len(texts) else np.full(len(column), np.nan)


def from_tensor(column: Any) -> Any:  # Any: TensorFlow is imported by whoever holds a tensor.
    """Returns the same of a dense string or int64 tensor, (rows,), float64."""
    import tensorflow as tf

    if column.dtype != tf.string:
        return tf.where(tf.equal(column, -1), tf.constant(np.nan, tf.float64), tf.cast(column, tf.float64))
    fits = tf.strings.regex_full_match(column, _ISO)
    written = tf.where(fits, tf.strings.regex_replace(column, _ISO, _WRITTEN, replace_global=False), _NOTHING)
    split = tf.reshape(tf.strings.split(written, ",").flat_values, [-1, _FIELDS])
    split = tf.where(tf.strings.regex_full_match(split, "[+-]?"), "0", split)
    return _seconds(tf, tf.strings.to_number(split, tf.float64))


def _as_number(text: str) -> float:
    return float(text) if text not in ("", "+", "-") else 0.0


def _seconds(library: Any, fields: Any) -> Any:
    """Returns seconds since 1970 of (rows, 8) fields; NaN where they are no moment."""
    year, month, day, hour, minute, second, zone_hours, zone_minutes = (fields[:, index] for index in range(_FIELDS))
    days = _days_of(library, year, month, day)
    there = civil(library, days)
    is_day = library.logical_and(library.equal(there[1], month), library.equal(there[2], day))
    is_time = library.logical_and(library.logical_and(hour < 24, minute < 60), second < 60)
    seconds = days * DAY + (hour - zone_hours) * 3600.0 + (minute - zone_minutes) * 60.0 + second
    is_moment = library.logical_and(library.logical_and(is_day, is_time), library.logical_and(month > 0, year > 0))
    return library.where(is_moment, seconds, np.float64(np.nan))


def _days_of(library: Any, year: Any, month: Any, day: Any) -> Any:
    """Returns days since 1970 of a day of the Gregorian calendar, whose years here begin in March.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    """
    shifted = library.where(month > 2, year, year - 1.0)
    era = library.floor(shifted / 400.0)
    of_era = shifted - era * 400.0
    of_year = library.floor((153.0 * library.where(month > 2, month - 3.0, month + 9.0) + 2.0) / 5.0) + day - 1.0
    return (
        era * 146097.0
        + of_era * 365.0
        + library.floor(of_era / 4.0)
        - library.floor(of_era / 100.0)
        + of_year
        - 719468.0
    )


def civil(library: Any, days: Any) -> tuple[Any, Any, Any]:
    """Returns year, month and day of days since 1970; `library` is numpy or tensorflow.

    Source: as `_days_of`, civil_from_days.
    """
    shifted = days + 719468.0
    era = library.floor(shifted / 146097.0)
    of_era = shifted - era * 146097.0
    leap = library.floor(of_era / 1460.0) - library.floor(of_era / 36524.0) + library.floor(of_era / 146096.0)
    year_of_era = library.floor((of_era - leap) / 365.0)
    of_year = of_era - (365.0 * year_of_era + library.floor(year_of_era / 4.0) - library.floor(year_of_era / 100.0))
    shifted_month = library.floor((5.0 * of_year + 2.0) / 153.0)
    day = of_year - library.floor((153.0 * shifted_month + 2.0) / 5.0) + 1.0
    month = library.where(shifted_month < 10, shifted_month + 3.0, shifted_month - 9.0)
    year = year_of_era + era * 400.0 + library.where(month > 2, 0.0 * month, 0.0 * month + 1.0)
    return year, month, day
