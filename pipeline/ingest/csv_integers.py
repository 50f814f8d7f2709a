"""How a CSV file may write a whole number: `8`, `8.0` as pandas does beside missing values, `True` and `false`.

Parquet takes the same: a column of whole floating point numbers or of Booleans for an INT feature.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

# Blanks and tabs as pyarrow trims them; not a no-break space, which `\s` would take.
BLANKS = " \t"
_DIGITS = r"(-?[0-9]+)(?:\.0*)?"
_FORM = re.compile(rf"{_DIGITS}|(true)|false", re.IGNORECASE)


def parse(cell: str) -> int | None:
    """Returns the number of one cell; None where it is not a whole number that an int64 holds."""
    match = _FORM.fullmatch(cell.strip(BLANKS))
    if match is None:
        return None
    number = int(match[1]) if match[1] else int(match[2] is not None)
    return number if -(2**63) <= number < 2**63 else None


def from_text(cells: pa.Array) -> pa.Array:
    """Returns a column of cells as int64.

    Raises:
      pa.ArrowInvalid: `parse` takes one of them for no number.
    """
    text = pc.utf8_trim(cells, BLANKS)
    text = pc.replace_substring_regex(text, f"^{_DIGITS}$", r"\1")
    text = pc.replace_substring_regex(text, "(?i)^true$", "1")
    text = pc.replace_substring_regex(text, "(?i)^false$", "0")
    if not pc.all(pc.match_substring_regex(text, "^-?[0-9]+$"), min_count=0).as_py():
        raise pa.ArrowInvalid("not a whole number")  # pyarrow's own cast would take 0x10, too.
    return text.cast(pa.int64())
