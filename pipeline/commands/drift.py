"""`drift`: one span compared with the live model's training window, or with another span; nothing is recorded."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands import options
from pipeline.errors import ConfigError
from pipeline.ingest import spans as span_files
from pipeline.json_values import to_json_values
from pipeline.runs.log_capture import captured, readers_log
from pipeline.state.root import Root
from pipeline.state.version_folder import BASELINE_FOLDER, pushed_versions

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.config.dataset import Dataset
    from pipeline.gate.baseline import Baseline
    from pipeline.gate.drift import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `drift` reads."""
    options.add_data(parser)
    parser.add_argument("--span", type=options.span, metavar="N|DATE", help="the span to compare (default: the newest)")
    parser.add_argument(
        "--against", type=options.span, metavar="M|DATE", help="another span (default: the live model's window)"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw what moved most into FILE.png or FILE.svg")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Prints the comparison. Exit status: 0 compared, whatever was found.

    Raises:
      ConfigError: no such span, nothing to compare with, or a plot of another kind than png and svg.
    """
    from pipeline.gate import drift as drift_comparison
    from pipeline.report import drift_plot
    from pipeline.runs.request import locate_data

    dataset, root = options.load(args)
    if dataset.schema_path is None:
        raise ConfigError(
            f"{dataset.path} has no schema yet. Have one inferred: {options.hint(args, 'run', with_data=True)}"
        )
    if args.plot and not args.plot.endswith(drift_plot.ENDINGS):
        raise ConfigError(f"--plot: expected a file name that ends in .png or .svg. Received: {args.plot}.")
    data_root = locate_data(dataset, root, args.data_root)
    files = span_files.choose_span(data_root, dataset.spans.pattern, dataset.spans.marker, args.span)
    span = files[0].span
    table = read_files(dataset, files)
    baseline, name = find_baseline(args, dataset, root, data_root)
    with captured(readers_log(root.logs, "drift")) as (out, err):
        compared = drift_comparison.compare(table, baseline, dataset.features, dataset.gate)
        compared = with_added_features(compared, table, baseline, dataset, data_root)
        if compared.drift is None:
            raise ConfigError("; ".join(gap.text for gap in compared.not_compared))
        if args.plot:
            drift_plot.plot_drift(
                Path(args.plot), compared.drift, compared.distributions, baseline=name, span=f"span {span}"
            )
        gaps = [gap.text for gap in compared.not_compared]
        if args.json:
            measured = to_json_values(dataclasses.asdict(compared.drift))
            value = {"span": span, "against": name, "drift": measured, "not_compared": gaps}
            print(options.json_text(value, dataset), file=out)
            return 0
        terminal = options.terminal(out, err, dataset)
        rows = f"{compared.drift.rows:,} rows against {compared.drift.reference_rows:,}"
        terminal.out.print(drift_plot.drift_table(compared.drift, title=f"Span {span} against {name} ({rows})"))
        for gap in gaps:
            terminal.say(f"not compared: {gap}")
        if args.plot:
            terminal.note(f"plot: {args.plot}")
    return 0


def with_added_features(
    compared: Comparison, table: pa.Table, baseline: Baseline, dataset: Dataset, data_root: str
) -> Comparison:
    """Adds the features that the live model does not have, where its training window's files are still there."""
    from pipeline.config.schema import read_schema
    from pipeline.gate import added_features

    assert dataset.schema_path is not None, "the command has checked it"
    spans = dataset.spans

    def read_spans(numbers: Sequence[int]) -> dict[int, pa.Table]:
        files = span_files.newest_versions(data_root, spans.pattern, spans.marker)
        return {number: read_files(dataset, files[number]) for number in numbers if number in files}

    schema = read_schema(dataset.schema_path)
    added = added_features.names(dataset.features, baseline, dataset.gate)
    found, gaps, distributions = added_features.compare(
        table, baseline, read_spans, schema, dataset.features, dataset.gate
    )
    drift = compared.drift
    if drift is not None and found is not None:
        ranked = sorted((*drift.features, *found.features), key=lambda item: (-item.excess, item.feature))
        drift = dataclasses.replace(drift, features=tuple(ranked))
    kept = tuple(gap for gap in compared.not_compared if gap.feature not in added)
    return dataclasses.replace(
        compared,
        drift=drift or found,
        not_compared=(*kept, *gaps),
        distributions=(*compared.distributions, *distributions),
    )


def read_span(dataset: Dataset, data_root: str, span: int) -> pa.Table:
    """Reads a span's raw rows, flat columns typed by the schema."""
    return read_files(dataset, span_files.choose_span(data_root, dataset.spans.pattern, dataset.spans.marker, span))


def read_files(dataset: Dataset, files: Sequence[span_files.SpanFile]) -> pa.Table:
    """Reads the raw rows of a span's files, as `read_span`."""
    import pyarrow as pa

    from pipeline.config.schema import read_schema
    from pipeline.ingest.columns import columns_of
    from pipeline.ingest.reader import open_span

    assert dataset.schema_path is not None, "the command has checked it"
    schema = read_schema(dataset.schema_path)
    columns = columns_of(schema, dataset.features.target, dataset.features.names).without_label()
    opened = open_span([file.path for file in files], dataset.spans.file_format, columns)
    return pa.Table.from_batches(opened.batches, opened.schema)


def find_baseline(args: argparse.Namespace, dataset: Dataset, root: Root, data_root: str) -> tuple[Baseline, str]:
    """Returns what to compare with, and its name: another span, or what the live model was trained on."""
    from pipeline.config.schema import read_schema
    from pipeline.gate.baseline import Baseline
    from pipeline.gate.measuring import build_baseline

    against: int | None = args.against
    if against is not None:
        assert dataset.schema_path is not None, "the command has checked it"
        measured = build_baseline(
            {against: read_span(dataset, data_root, against)},
            read_schema(dataset.schema_path),
            dataset.features,
            dataset.gate,
            evaluation=None,
            statistics=None,
        )
        return measured, f"span {against}"
    serving_dir = root.serving(dataset.serving.model_name)
    versions = pushed_versions(serving_dir)
    if not versions:
        raise ConfigError(
            f"No model is live in {serving_dir}. Name a span with --against, or run the pipeline first: "
            f"{options.hint(args, 'run', with_data=True)}"
        )
    folder = serving_dir / str(versions[-1]) / BASELINE_FOLDER
    baseline = Baseline.load(str(folder))
    return baseline, f"version {versions[-1]}, trained on spans {', '.join(map(str, baseline.window))}"
