"""The exception of this room.

PipelineError (pipeline/errors.py), exit status 1
└── SourceError     a source that does not answer, or whose answer cannot be used; trying again may help
"""

from pipeline.errors import PipelineError


class SourceError(PipelineError):
    """A source failed; names it without its secrets."""
