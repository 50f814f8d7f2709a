"""The exception of this package."""


class ExamplesError(Exception):
    """Examples that are missing, damaged, or hold other values than the schema says: which file, column and value."""
