"""The exception of this package; commands report it as they report every PipelineError."""

from pipeline.errors import PipelineError


class ReportError(PipelineError):
    """A report cannot be made: what is missing or damaged, and where."""
