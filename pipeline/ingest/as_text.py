"""Values that no tf.Example holds as they are, as the text or the number that a client sends too: dates and lists."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.bags import SEPARATOR


def is_moment(arrow_type: pa.DataType) -> bool:
    """Returns whether a column holds dates or timestamps."""
    return bool(pa.types.is_date(arrow_type) or pa.types.is_timestamp(arrow_type))


def is_flat_list(arrow_type: pa.DataType) -> bool:
    """Returns whether a column holds lists of numbers or texts."""
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(arrow_type) for is_kind in lists) and not pa.types.is_nested(arrow_type.value_type)


def moments_as_text(array: pa.Array) -> pa.Array:
    """Returns ISO 8601: `2024-03-31`, `2024-03-31T14:30:00`, or `2024-03-31T12:30:00Z` where the type has a zone.

    A fraction of a second is dropped.
    """
    if pa.types.is_date(array.type):
        return pc.strftime(array.cast(pa.date32()), format="%Y-%m-%d").cast(pa.large_string())
    form = "%Y-%m-%dT%H:%M:%SZ" if array.type.tz else "%Y-%m-%dT%H:%M:%S"
    return pc.strftime(_whole_seconds(array), format=form).cast(pa.large_string())


def moments_as_seconds(array: pa.Array) -> pa.Array:
    """Returns seconds since 1970, int64; a fraction of a second is dropped."""
    return _whole_seconds(array).cast(pa.int64())


def _whole_seconds(array: pa.Array) -> pa.Array:
    # Without its zone a moment is that of UTC, which is how Arrow stores it.
    fine = array.cast(pa.timestamp("us")) if pa.types.is_date(array.type) else array.cast(pa.timestamp(array.type.unit))
    return pc.floor_temporal(fine, unit="second").cast(pa.timestamp("s"))


def lists_as_text(array: pa.Array) -> pa.Array:
    """Returns the items of each list with a bar between them; null where a list has none.

    Raises:
      pa.ArrowInvalid: an item holds a bar itself, or is no UTF-8.
    """
    items = array.flatten().cast(pa.string())
    if pc.any(pc.match_substring(items, SEPARATOR), min_count=0).as_py():
        raise pa.ArrowInvalid(f"an item holds {SEPARATOR!r}, which separates items")
    given = pc.not_equal(pc.fill_null(items, ""), "")
    counts = np.bincount(pc.list_parent_indices(array).filter(given), minlength=len(array))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), items.filter(given), mask=pa.array(counts == 0))
    return pc.binary_join(lists, SEPARATOR).cast(pa.large_string())
