"""Code that a dataset's owner brings: read and checked without running it, loaded under a private name, called."""
