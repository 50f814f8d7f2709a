"""The exceptions that end a command with one clear line.

PipelineError                 1  anything unexpected that we can explain
├── ConfigError               2  wrong usage or configuration
│   └── SpanNotFoundError     2  the span asked for does not exist
├── DataError                 3  the data was refused (pipeline/ingest/errors.py refines it)
├── ReportError               1  a report cannot be made: what is missing or damaged, and where
└── RootBusyError             1  another run works on the same root
"""


class PipelineError(Exception):
    """Base of every error that a command reports without a traceback; `exit_status` is the process's."""

    exit_status = 1


class ConfigError(PipelineError):
    """The command line, dataset.toml or the schema is wrong; names the file, the key and what is allowed."""

    exit_status = 2


class SpanNotFoundError(ConfigError):
    """No span matches the pattern under the data root, or not the one asked for."""


class DataError(PipelineError):
    """A span's data cannot be used; names the file and, where known, the line and the column."""

    exit_status = 3


class ReportError(PipelineError):
    """A report cannot be made: what is missing or damaged, and where."""


class RootBusyError(PipelineError):
    """Another process holds the root's lock."""
