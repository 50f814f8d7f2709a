"""Where reports are, and making them: after a run, or again at any later time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline import files
from pipeline.components import nodes
from pipeline.errors import ReportError
from pipeline.ingest import span_names
from pipeline.runs.metadata import RunRecord, Store
from pipeline.runs.records import EndedRun
from pipeline.state.root import Root

SERIES_PAGE = "replay.html"
_ALLOWED = re.compile(r"[^0-9A-Za-z]+")


def path_of(root: Root, span: int | None, run_id: str) -> Path:
    """Returns where a run's report is to be: by the span and the run's whole id, so that no two runs share a page."""
    return root.reports / f"span-{span}-{_ALLOWED.sub('-', run_id)}.html"


def existing(root: Root, span: int | None, run_id: str) -> Path | None:
    """Returns where a run's report is; None where there is none."""
    # Older releases named it to the second.
    paths = (path_of(root, span, run_id), path_of(root, span, run_id.partition(".")[0]))
    return next((path for path in paths if path.exists()), None)


def find_run(root: Root, span: int | None) -> RunRecord:
    """Returns the newest run, or the newest of one span; runs that were only asked to explain are no runs.

    Raises:
      ReportError: there is none; names the spans that have one.
    """
    spans = set()
    for run in Store(root.metadata, root.artifacts).runs():
        gate = run.node(nodes.RERUN_GATE)
        if run.span is None or (gate is not None and gate.properties.get("remember") == 0):
            continue
        if span is None or run.span == span:
            return run
        spans.add(run.span)
    if span is None:
        raise ReportError(f"No run is recorded in {root.metadata}.")
    with_runs = ", ".join(map(str, sorted(spans))) or "none"
    raise ReportError(f"Span {span} has not been run in {root.path}. Spans that have: {with_runs}.")


def find_run_by_id(root: Root, run_id: str) -> RunRecord | None:
    """Returns one run; None where it ended before any component of it was executed."""
    store = Store(root.metadata, root.artifacts)
    run = store.read(run_id) if run_id in store.run_ids() else None
    return run if run and run.nodes else None


def newest(root: Root, runs: Sequence[EndedRun]) -> Path | None:
    """Returns the report of the last run that has one, by the order of the runs: a clock may be set back.

    Args:
      runs: as the journal has them. Of those of older releases it does not say which page they have; the page that was
        written last is taken then.
    """
    for run in reversed(runs):
        if run.run_id and (path := existing(root, run.span, run.run_id)):
            return path
    pages = list(root.reports.glob("span-*.html")) if root.reports.is_dir() else []
    return max(pages, key=lambda path: path.stat().st_mtime, default=None)


def write(run: RunRecord, path: Path) -> Path:
    """Makes a run's report, whole or not at all.

    Raises:
      ReportError: an artifact is damaged or of another version of this program.
      OSError: the file cannot be written.
    """
    from pipeline.report.build import build_report  # Loads Arrow and the templates; `status` only wants a path.
    from pipeline.report.render import run_page

    gate = run.node(nodes.RERUN_GATE)
    pattern = str(gate.properties.get("pattern", "")) if gate else ""
    return write_page(span_names.in_text(run_page(build_report(run)), pattern), path)


def write_series(base: Path, path: Path | None = None) -> Path:
    """Makes the page of a replay, beside what it has left or where it is wanted.

    Raises:
      ReportError: the folder holds no whole replay.
      OSError: the file cannot be written.
    """
    from pipeline.report.render import series_page
    from pipeline.report.series_data import build_series

    report = build_series(base)
    return write_page(span_names.in_text(series_page(report), report.pattern), path or base / SERIES_PAGE)


def write_page(page: str, path: Path) -> Path:
    """Writes a page, whole or not at all."""
    files.write(str(path.parent), path.name, page.encode())
    return path
