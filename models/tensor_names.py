"""Column names and the names that TensorFlow, Beam and file systems take for them: the one place that maps them.

A column keeps its user's name everywhere: in the schema, as the key of tf.Examples, in the SavedModel's signature_def
and so in REST and gRPC requests, in slices and reports. Only arguments of TensorFlow functions, scopes of operations
and names of files have rules of their own. There a column has an alias: itself where every rule allows it, else its
letters and digits with a digest of the whole name.
"""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from models.errors import FeatureError

MAX_NAME_BYTES = 500
"""Longest column name, in UTF-8."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_SLUG_LENGTH = 40


def check_column_name(column: str) -> None:
    """Refuses a name that no header, log line or file can hold.

    Raises:
      FeatureError: the name is empty, too long, or has control characters.
    """
    if not column:
        raise FeatureError("A column has an empty name. Give it one.")
    control = next((c for c in column if unicodedata.category(c) in ("Cc", "Cs")), None)
    if control is not None:
        raise FeatureError(
            f"The column name {_clipped(column)} has the control character U+{ord(control):04X}. Rename the column."
        )
    size = len(column.encode("utf-8"))
    if size > MAX_NAME_BYTES:
        raise FeatureError(
            f"The column name {_clipped(column)} has {size} bytes. At most {MAX_NAME_BYTES} are allowed. "
            "Rename the column."
        )


def tensor_names(columns: Iterable[str]) -> dict[str, str]:
    """The argument names of a signature's inputs, by column; two columns never share one.

    TensorFlow takes names that differ only in case for the same name, so all but one of them get an alias.
    """
    names = sorted(columns)
    same = Counter(name.casefold() for name in names)
    return {name: name if _is_plain(name) and same[name.casefold()] == 1 else alias(name) for name in names}


def alias(column: str) -> str:
    """A name that is safe as a scope of operations and as a file on every file system, whatever else is there."""
    if _is_plain(column) and column == column.lower():
        return column
    slug = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:_SLUG_LENGTH]
    digest = hashlib.sha256(column.encode("utf-8")).hexdigest()[:16]
    return f"c_{slug}_{digest}" if slug else f"c_{digest}"


def _is_plain(column: str) -> bool:
    """Whether it may be an argument: TensorFlow neither refuses nor renames it, and its methods have none such."""
    return bool(_PLAIN.fullmatch(column)) and not keyword.iskeyword(column) and column != "self"


def _clipped(column: str) -> str:
    return repr(column if len(column) <= 60 else f"{column[:60]}…")
