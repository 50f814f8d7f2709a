"""The exceptions of ingestion.

DataError (pipeline/errors.py), exit status 3
└── IngestError           a span's files cannot be used; names file and, where known, line and column
    ├── UnreadableError   not a whole file of its format: empty, truncated, ragged, not UTF-8
    ├── ColumnsError      columns that are missing, unknown, duplicated or not of a flat type
    ├── ValueTypeError    a value that its column's type cannot hold
    └── LabelValueError   a row whose label is neither 0 nor 1
"""

from pipeline.errors import DataError


class IngestError(DataError):
    """Base of this package's errors.

    Attributes:
      path: the file.
      line: 1-based line of the file where a record starts; for binary formats the 1-based number of the record.
      column: the column's name.
    """

    def __init__(self, what: str, *, path: str, line: int | None = None, column: str | None = None) -> None:
        place = path
        if line is not None:
            place += f", {'line' if _is_text(path) else 'record'} {line}"
        if column is not None:
            place += f", column {column!r}"
        super().__init__(f"{place}: {what}")
        self.path = path
        self.line = line
        self.column = column


class UnreadableError(IngestError):
    """The file is not a whole file of its format."""


class ColumnsError(IngestError):
    """The file's columns are not those of the schema."""


class ValueTypeError(IngestError):
    """A value that its column's type cannot hold."""


class LabelValueError(IngestError):
    """A row's label is neither 0 nor 1."""


def _is_text(path: str) -> bool:
    return not path.endswith((".parquet", ".avro", ".tfrecord", ".tfrecords", ".gz"))
