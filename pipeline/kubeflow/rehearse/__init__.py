"""Runs a compiled pipeline on this machine as its backend would: from the file alone, a process per task."""
