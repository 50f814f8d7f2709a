"""`predict --batch`: offline predictions for a span or a file, by a pushed version."""

from __future__ import annotations

import argparse
import errno
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.commands import options
from pipeline.commands.terminal import Terminal
from pipeline.config.dataset import Dataset
from pipeline.config.schema import read_schema
from pipeline.errors import ConfigError, PipelineError
from pipeline.ingest import spans as span_files
from pipeline.runs.log_capture import captured, readers_log
from pipeline.runs.request import locate_data
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions

if TYPE_CHECKING:
    from pipeline.ingest.reader import Format

_FORMATS: dict[str, Literal["csv", "parquet", "avro", "tfrecord"]] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".avro": "avro",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
    ".gz": "tfrecord",
}
# The signature that takes serialized examples, and its input: what a BulkInferrer is told to use.
_SIGNATURE, _INPUT = "serve_examples", "examples"


def command(args: argparse.Namespace) -> int:
    """Predicts all rows. Exit status: 0 written, 2 wrong usage, 3 the rows cannot be used, 1 anything else.

    Raises:
      PipelineError: wrong usage, no pushed version, or rows at fault; nothing is written.
    """
    dataset, root = options.load(args)
    check(args, dataset)
    version = choose_version(args, root, dataset)
    paths, file_format = choose_input(args, root, dataset)
    output = Path(args.output).absolute()
    started = time.monotonic()
    with captured(readers_log(root.logs, "predict")) as (out, err):
        rows = _infer(dataset, version, paths, file_format, output)
        seconds = time.monotonic() - started
        terminal = Terminal(out, err, quiet=args.json)
        if args.json:
            value = {"rows": rows, "version": int(version.name), "output": str(output), "seconds": round(seconds, 3)}
            print(json.dumps(value, sort_keys=True), file=out)
        terminal.note(f"version {version.name}: {rows:,} rows in {seconds:.1f} s, loading included")
        terminal.say(f"Predictions: {output}")
    return 0


def check(args: argparse.Namespace, dataset: Dataset) -> None:
    """Refuses options that do not go together, before anything heavy is loaded."""
    if args.output is None:
        raise ConfigError("--batch needs --output: a .csv or .parquet file, or a folder for TFRecords.")
    if (args.span is None) == (args.file == "-"):
        raise ConfigError("--batch needs either --span N or a file of rows; standard input is for served models.")
    shown = (args.auth_token_file, args.auth_token_env, args.tls_ca, args.tls_certificate, args.tls_key)
    if args.url or args.csv or any(shown):
        raise ConfigError("--batch asks no server and prints no rows: leave out --url, --csv, tokens and certificates.")
    if dataset.schema_path is None:
        raise ConfigError(
            f"{dataset.path} names no schema yet, so no model can have been trained. "
            f"Have one inferred: {options.hint(args, 'run', with_data=True)}"
        )


def choose_version(args: argparse.Namespace, root: Root, dataset: Dataset) -> Path:
    """Returns the folder of the version that was asked for, or of the live one.

    Raises:
      ConfigError: there is none.
    """
    serving_dir = root.serving(dataset.serving.model_name)
    versions = pushed_versions(serving_dir)
    if not versions:
        raise ConfigError(
            f"Nothing has been pushed to {serving_dir}. Name another --root, or run the pipeline first: "
            f"{options.hint(args, 'run', with_data=True)}"
        )
    number: int | None = args.version
    if number is not None and number not in versions:
        raise ConfigError(f"--version: there is no version {number}. Pushed: {', '.join(map(str, versions))}.")
    return serving_dir / str(number or versions[-1])


def choose_input(args: argparse.Namespace, root: Root, dataset: Dataset) -> tuple[list[str], Format]:
    """Returns the files of the span, or the file that was named, and their format.

    Raises:
      ConfigError: there is no such span or file, or the file's format cannot be told.
    """
    if args.span is not None:
        data_root = locate_data(dataset, root, args.data_root)
        files = span_files.choose_span(data_root, dataset.spans.pattern, dataset.spans.marker, args.span)
        return [file.path for file in files], dataset.spans.file_format
    path = Path(args.file)
    if not path.is_file():
        raise ConfigError(f"There is no file {path}.")
    if path.suffix not in _FORMATS:
        raise ConfigError(f"{path}: the format is told by the name. Expected one of {', '.join(_FORMATS)}.")
    named = _FORMATS[path.suffix]
    return [str(path)], dataset.spans.csv if named == "csv" else named


def _infer(dataset: Dataset, version: Path, paths: list[str], file_format: Format, output: Path) -> int:
    from models.errors import ModelError
    from models.predictor import Predictor
    from pipeline.ingest.columns import columns_of
    from pipeline.ingest.reader import open_span
    from pipeline.predict.offline import infer, open_writer
    from pipeline.predict.prediction_logs import AskedModel

    assert dataset.schema_path is not None, "checked"
    features = dataset.features
    columns = columns_of(read_schema(dataset.schema_path), features.target, features.names).without_label()
    batches = open_span(paths, file_format, columns).batches
    model = AskedModel(name=dataset.serving.model_name, version=int(version.name), signature=_SIGNATURE, input=_INPUT)
    try:
        with open_writer(output, model) as writer:
            return infer(Predictor(str(version)), batches, writer)
    except ModelError as error:
        raise PipelineError(str(error)) from error
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise PipelineError(f"{output}: {what}. Nothing has been written.") from error
