"""The exit statuses of every command, and the exceptions that end a command with one clear line.

PipelineError                 1  anything unexpected that we can explain
├── ConfigError               2  wrong usage or configuration
│   └── SpanNotFoundError     2  the span asked for does not exist
├── DataError                 3  the data was refused (pipeline/ingest/errors.py refines it)
├── ReportError               1  a report cannot be made: what is missing or damaged, and where
└── RootBusyError             5  another run works on the same root
"""

import enum


class ExitStatus(enum.IntEnum):
    """What a command's exit status means; docs/cli.md lists them."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "ExitStatus":
        """Makes a member: the status, and its meaning in words."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "Done: pushed, or there was nothing to do."
    FAILED = 1, "Failed: a full disk, a damaged file, a server that does not answer, a fault in the program. Try again."
    USAGE = 2, "Wrong usage or configuration, or a missing extra. Correct it: trying again cannot help."
    REFUSED = 3, "The data was refused; of `predict`, some rows were not answered."
    NOT_BLESSED = 4, "The candidate was trained and not blessed; the live model stays."
    BUSY = 5, "Another command is at work on the root. The same command will do later."
    INTERRUPTED = 130, "Interrupted by Ctrl-C (SIGINT). Nothing is lost."
    TERMINATED = (
        143,
        "Ended by SIGTERM. Nothing is lost. `watch`, `serve` and `monitor` are meant to be ended: they return 0.",
    )


class PipelineError(Exception):
    """Base of every error that a command reports without a traceback; `exit_status` is the process's."""

    exit_status = ExitStatus.FAILED


class ConfigError(PipelineError):
    """The command line, dataset.toml or the schema is wrong; names the file, the key and what is allowed."""

    exit_status = ExitStatus.USAGE


class SpanNotFoundError(ConfigError):
    """No span matches the pattern under the data root, or not the one asked for."""


class DataError(PipelineError):
    """A span's data cannot be used; names the file and, where known, the line and the column."""

    exit_status = ExitStatus.REFUSED


class ReportError(PipelineError):
    """A report cannot be made: what is missing or damaged, and where."""


class RootBusyError(PipelineError):
    """Another process holds the root's lock."""

    exit_status = ExitStatus.BUSY


def printable(text: str) -> str:
    """Returns the text with what a terminal would obey, such as an escape sequence in a category, written out."""
    return "".join(mark if mark.isprintable() or mark in "\n\N{NO-BREAK SPACE}" else repr(mark)[1:-1] for mark in text)


def clipped(text: str, most: int = 80) -> str:
    """Returns the text, its end left out where it is longer than an error can show."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
