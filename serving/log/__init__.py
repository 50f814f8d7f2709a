"""The request log: writing it, and reading it back."""
