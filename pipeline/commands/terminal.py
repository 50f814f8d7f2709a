"""What a person sees of a run: live progress on a terminal, plain lines in a pipe, tables at the end."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from pipeline.components import nodes
from pipeline.errors import clipped, printable
from pipeline.ingest import span_names

# What each node does, in the words that a waiting person reads.
DOING = {
    nodes.EXAMPLE_GEN: "reading the span",
    nodes.STATISTICS_GEN: "measuring the span",
    nodes.SCHEMA_GEN: "inferring a schema",
    nodes.SCHEMA_IMPORTER: "reading the schema",
    nodes.EXAMPLE_VALIDATOR: "validating the span against the schema",
    nodes.LIVE_MODEL: "finding the live model",
    nodes.RERUN_GATE: "deciding: block, skip or rerun",
    nodes.REFUSE_SPAN: "refusing the span",
    nodes.TRAINING_WINDOW: "gathering the training window",
    nodes.WINDOW_STATISTICS: "measuring the training window",
    nodes.TRANSFORM: "computing the transform graph",
    nodes.TUNING_WINDOW: "gathering the spans that trials are scored on",
    nodes.TUNER: "tuning: each trial is scored on spans over time",
    nodes.TRAINER: "training",
    nodes.EVALUATOR: "evaluating against the live model",
    nodes.BASELINE_GEN: "measuring the baseline for later spans",
    nodes.INFRA_VALIDATOR: "asking the candidate over REST",
    nodes.PUSHER: "pushing",
}


_PIPE_WIDTH = 200
_WIDEST_CELL = 80


class Terminal:
    """Prints progress and results; results to standard output, everything else to standard error.

    Args:
      quiet: print no tables; `--json` wants standard output for itself.
      pattern: of the dataset's spans; where it has dates, spans are shown as dates.
    """

    def __init__(self, out: TextIO, err: TextIO, *, quiet: bool = False, pattern: str = "") -> None:
        self.out = _console(out, pattern)
        self.err = _console(err, pattern)
        self._quiet = quiet
        self.pattern = pattern

    @contextlib.contextmanager
    def doing(self, node: str) -> Iterator[None]:
        """Shows that `node` is at work: a spinner where there is a terminal, nothing where there is none."""
        if self._quiet or not self.err.is_terminal:
            yield
            return
        with self.err.status(f"{node}: {DOING.get(node, 'at work')}"):
            yield

    @contextlib.contextmanager
    def progress(self, text: str) -> Iterator[Callable[[str], None]]:
        """Shows one changing line while the block works; yields what changes it. Nothing where there is no terminal."""
        if self._quiet or not self.err.is_terminal:
            yield lambda _text: None
            return
        with self.err.status(text) as status:
            yield status.update

    def note(self, text: str) -> None:
        """Says one line of progress."""
        self.err.print(text)

    def say(self, text: str = "") -> None:
        """Prints one line of results."""
        if not self._quiet:
            self.out.print(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Prints results as a table; numbers to the right."""
        if self._quiet or not rows:
            return
        table = Table(
            title=span_names.in_text(title, self.pattern),
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
        )
        for index, column in enumerate(columns):
            numeric = all(isinstance(row[index], int | float) or row[index] in ("", "-") for row in rows)
            # On a narrow terminal the last column gives way: names and figures must stay whole.
            last = index == len(columns) - 1
            heading = span_names.in_text(column, self.pattern)
            table.add_column(heading, justify="right" if numeric else "left", no_wrap=not last, overflow="fold")
        for cells in rows:
            row = [self._named(column, cell) for column, cell in zip(columns, cells, strict=True)]
            # A long value would push the figures off the page; the last column folds and may hold a sentence.
            table.add_row(*(clipped(shown(cell), _WIDEST_CELL) for cell in row[:-1]), shown(row[-1]))
        self.out.print()
        self.out.print(table)

    def _named(self, column: str, cell: object) -> object:
        """Returns a cell with the spans in it as dates, where they are."""
        if column == "span" and isinstance(cell, int):
            return span_names.name(cell, self.pattern) if self.pattern else cell
        return span_names.in_text(cell, self.pattern) if isinstance(cell, str) else cell


class _Console(Console):
    pattern = ""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints as rich does, and texts as what they are; the terminal breaks lines, so that a command can be pasted.

        Any: rich's own.
        """
        if all(isinstance(one, str) for one in objects):
            options.setdefault("soft_wrap", True)
        texts = [printable(span_names.in_text(one, self.pattern)) if isinstance(one, str) else one for one in objects]
        super().print(*texts, **options)

    def on_broken_pipe(self) -> None:
        """Lets the error reach the edge; rich would end the process with status 1."""
        raise


def _console(file: TextIO, pattern: str) -> Console:
    """In a pipe lines are as long as they are: whoever reads them next decides where to cut.

    Text is shown as it is, without rich's markup and emoji: values of the data such as `[/]` stand in it.
    """
    console = _Console(
        file=file,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if file.isatty() else _PIPE_WIDTH,
        soft_wrap=not file.isatty(),
    )
    console.pattern = pattern
    return console


def shown(cell: object) -> str:
    """Returns a table cell's text: counts with thousands marks, other numbers with four digits that matter."""
    if isinstance(cell, bool) or cell is None:
        return {True: "yes", False: "no", None: "-"}[cell]
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.4g}" if abs(cell) >= 1 or cell == 0 else f"{cell:.4f}"
    return printable(str(cell)).replace("\n", "\\n")
