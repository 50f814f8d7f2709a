"""The commands of local_runner.py, one module each; they print, everything below them returns values."""
