"""A runner is a table of commands. Only the module of the command that was named is imported.

A command's module has `add_arguments(parser)`, which declares what the command reads, and `command(args)`, which does
the work and returns the exit status. Importing it loads nothing heavy, so `--help` and wrong usage answer at once.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import program
from pipeline.commands import edge


class _Formatter(argparse.HelpFormatter):
    """Leaves room for the indentation of commands, which argparse forgets: the longest would get a line of its own."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        for command in self._iter_indented_subactions(action):
            length = len(self._format_action_invocation(command)) + self._current_indent
            self._action_max_length = max(self._action_max_length, length)


@dataclass(frozen=True)
class Command:
    """One command: its name, the module that does it, a line for the list, and a sentence for its own help."""

    name: str
    module: str
    help: str
    description: str


@dataclass(frozen=True)
class Runner:
    """A program of several commands; `prog` is its file in a checkout."""

    prog: program.Runner
    description: str
    commands: Sequence[Command]

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Parses `argv`, runs one command and returns its exit status."""
        given = sys.argv[1:] if argv is None else list(argv)

        def run() -> int:
            args = self.parser(next((word for word in given if not word.startswith("-")), None)).parse_args(given)
            status: int = args.command(args)
            return status

        return edge.run(run)

    def parser(self, name: str | None) -> argparse.ArgumentParser:
        """Returns the command line with the options of the command `name`; of no command where there is no such."""
        return self._parsers(name)[0]

    def parser_of(self, name: str) -> argparse.ArgumentParser:
        """Returns the parser of one command, which knows that command's help."""
        return self._parsers(name)[1][name]

    def _parsers(self, name: str | None) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
        by_name = {}
        parser = argparse.ArgumentParser(
            prog=program.name(self.prog), description=self.description, formatter_class=_Formatter
        )
        commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
        for entry in self.commands:
            one = by_name[entry.name] = commands.add_parser(entry.name, help=entry.help, description=entry.description)
            if entry.name == name:
                module = importlib.import_module(entry.module)
                module.add_arguments(one)
                one.set_defaults(command=module.command)
        return parser, by_name
