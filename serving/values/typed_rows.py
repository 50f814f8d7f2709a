"""Request bodies of plain rows straight to columns, in C: `{"instances": [{"input": scalar, ...}, ...]}`.

Nearly every request is of this form. msgspec reads it by the signature's dtypes, with the contract's rules for numbers:
an integer is a token without `.` or exponent, a string is UTF-8, nothing is coerced, no key is missing or unknown.
Whatever it refuses goes to `json_reader` and `json_tensor`, which know the other forms and have the last word.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from serving.values.json_reader import with_nan_as_null
from serving.values.tensors import BOOL, DOUBLE, FLOAT, INT64, STORAGE, STRING, Array, Tensor, strings

_TYPES: Mapping[int, Any] = {FLOAT: float, DOUBLE: float, INT64: int, STRING: str, BOOL: bool}  # Any: type forms.
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
"""Names that msgspec can read as keys."""


class TypedRows:
    """Reads the rows of one signature."""

    def __init__(self, signature_name: str, inputs: Mapping[str, int]) -> None:
        """Prepares the readers; a signature with an input of another dtype, or of a name that JSON has to escape, has
        none, and `decode` refuses all.

        Args:
          signature_name: the only one that a body may name.
          inputs: dtypes by name, at least one.
        """
        self._signature_names = ("", signature_name)
        self._inputs = inputs
        self._columns = {
            dtype: [column for column, name in enumerate(inputs) if inputs[name] == dtype]
            for dtype in dict.fromkeys(inputs.values())
        }
        known = all(dtype in _TYPES and _PLAIN.fullmatch(name) for name, dtype in inputs.items())
        self._exact = _decoder(inputs, nan_is_null=False) if known else None
        self._with_null_for_nan = _decoder(inputs, nan_is_null=True) if known else None

    def decode(self, body: bytes | bytearray) -> dict[str, Tensor] | None:
        """Returns the tensors, (rows,) each, in the order of the inputs; None where the body is not of this form."""
        plain = with_nan_as_null(body)
        decoder = self._exact if plain is body else self._with_null_for_nan
        if plain is None or decoder is None:
            return None
        try:
            document = decoder.decode(plain)
            if not document.instances or document.signature_name not in self._signature_names:
                return None
            values = list(zip(*map(msgspec.structs.astuple, document.instances), strict=True))
            arrays: dict[int, Array] = {}
            for dtype, columns in self._columns.items():
                arrays |= zip(columns, _arrays(dtype, [values[column] for column in columns]), strict=True)
        except (msgspec.DecodeError, UnicodeError, OverflowError, RecursionError):
            return None
        return {name: Tensor(dtype, arrays[column]) for column, (name, dtype) in enumerate(self._inputs.items())}


def _decoder(inputs: Mapping[str, int], *, nan_is_null: bool) -> Any:  # Any: of a type made here.
    fields = {f"_{column}": name for column, name in enumerate(inputs)}
    types: list[tuple[str, Any]] = []
    for field, name in fields.items():
        kind = _TYPES[inputs[name]]
        types.append((field, kind | None if nan_is_null and kind is float else kind))
    row = msgspec.defstruct("Row", types, rename=fields, forbid_unknown_fields=True, gc=False)
    members: list[Any] = [("instances", list[row]), ("signature_name", str, "")]  # type: ignore[valid-type]
    return msgspec.json.Decoder(msgspec.defstruct("Document", members, forbid_unknown_fields=True, gc=False))


def _arrays(dtype: int, columns: Sequence[Sequence[Any]]) -> Iterable[Array]:
    if dtype == STRING:
        return [strings(list(map(str.encode, column)), (len(column),)) for column in columns]
    if dtype == FLOAT:  # By way of double, as numbers in JSON are; None becomes NaN.
        with np.errstate(over="ignore"):
            return list(np.array(columns, np.float64).astype(np.float32))
    return list(np.array(columns, STORAGE[dtype]))
