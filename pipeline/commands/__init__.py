"""The commands of both runners, one module each; they print, everything below them returns values."""
