"""Hands a compiled pipeline to its backend, through the backend's own client library, and follows the run."""
