"""The name of the project in an environment: the installed command is driftgate/__main__.py."""
