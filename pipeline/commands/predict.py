"""`predict`: rows from a file or standard input to a served model, answers as a table, JSON lines or CSV."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline import program
from pipeline.commands import options
from pipeline.commands.terminal import Terminal
from pipeline.errors import ConfigError, ExitStatus
from pipeline.predict import credentials
from pipeline.predict.client import Endpoint, NoAnswerError, Signature
from pipeline.state.version_folder import pushed_versions

if TYPE_CHECKING:
    from pipeline.predict.online import Notes, Prediction

LOCAL_SERVER = "http://127.0.0.1:8501"
FEATURE_DEFAULTS = Path("assets.extra") / "feature_defaults.json"
# A table is for reading; whoever wants all rows of a large file takes --csv or --json.
_SHOWN_ROWS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `predict` reads."""
    options.add_data(parser)
    parser.add_argument(
        "file", nargs="?", default="-", help="CSV with a header, JSON lines or a JSON array (default: standard input)"
    )
    parser.add_argument(
        "--url", metavar="URL", help="http[s]://HOST:PORT/v1/models/NAME (default: 127.0.0.1:8501, the dataset's model)"
    )
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--auth-token-file", type=Path, metavar="FILE", help="show the bearer token in its first line")
    token.add_argument("--auth-token-env", metavar="NAME", help="show the one in this environment variable")
    parser.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="trust these authorities (PEM) besides the system's"
    )
    parser.add_argument("--tls-certificate", type=Path, metavar="FILE", help="show this client certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key (default: in the certificate's file)")
    parser.add_argument("--signature", default="serving_default", metavar="NAME", help="(default: serving_default)")
    parser.add_argument(
        "--defaults",
        type=Path,
        metavar="FILE",
        help="what stands for missing values (default: assets.extra/feature_defaults.json of the pushed version)",
    )
    parser.add_argument("--batch-size", type=int, default=256, metavar="N", help="rows of a request (default: 256)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="of a request (default: 30)")
    parser.add_argument("--batch", action="store_true", help="predict offline, with a pushed version")
    parser.add_argument("--span", type=options.span, metavar="N|DATE", help="with --batch: this span's rows")
    parser.add_argument("--version", type=int, metavar="N", help="with --batch: (default: the live version)")
    parser.add_argument(
        "--output", metavar="PATH", help="with --batch: a .csv or .parquet file, or a folder of PredictionLog TFRecords"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object for each row; of a batch, one in all")
    form.add_argument("--csv", action="store_true", help="print CSV")


def command(args: argparse.Namespace) -> int:
    """Asks about every row. Exit status: 0 all answered, 3 some rows were not, 2 wrong usage, 1 no server answers.

    Raises:
      PipelineError: wrong usage, an input that cannot be read, or no answer from the server.
    """
    if args.batch:
        from pipeline.commands import predict_batch

        return predict_batch.command(args)
    from pipeline.config.schema import read_schema
    from pipeline.predict.examples_endpoint import ExamplesEndpoint, by_column
    from pipeline.predict.online import Notes, predict_rows
    from pipeline.predict.rows import open_text, read_rows

    if args.batch_size < 1:
        raise ConfigError(f"--batch-size must be at least 1. Received: {args.batch_size}.")
    dataset, root = options.load(args)
    model = dataset.serving.model_name
    shown = credentials.read(
        token_file=args.auth_token_file,
        token_variable=args.auth_token_env,
        authority=args.tls_ca,
        certificate=args.tls_certificate,
        key=args.tls_key,
        environment=os.environ,
    )
    endpoint = Endpoint(args.url or f"{LOCAL_SERVER}/v1/models/{model}", args.timeout, shown)
    terminal = Terminal(sys.stdout, sys.stderr)
    written = dataset.spans.csv
    with open_text(args.file, written) as file:
        serving_dir = root.serving(model)
        try:
            signature = endpoint.signature(args.signature)
        except NoAnswerError as error:
            if args.url is None:
                words = ["--model-name", model, "--model-base-path", str(serving_dir)]
                error.add_note(f"To start one: {program.line('serve', *words)}")
            raise
        described = args.defaults or find_defaults(serving_dir, signature.version)
        defaults, separators = read_defaults(described, "missing"), read_defaults(described, "separator")
        asks: Endpoint | ExamplesEndpoint = endpoint
        if described is not None and dataset.schema_path is not None:
            version_dir, schema = described.parent.parent, read_schema(dataset.schema_path)
            if examples := by_column(endpoint, signature, version_dir, schema, dataset.features.names):
                asks, signature, defaults = examples, examples.signature, examples.defaults
        rows = read_rows(file, "standard input" if args.file == "-" else args.file, written, signature.inputs)
        notes = Notes()
        predictions = predict_rows(rows, asks, args.signature, signature, defaults, separators, args.batch_size, notes)
        if args.json:
            asked, refused = write_json(predictions)
        elif args.csv:
            asked, refused = write_csv(predictions, signature)
        else:
            asked, refused = write_table(predictions, signature, terminal)
    say_notes(notes, asked, refused, terminal)
    return ExitStatus.REFUSED if refused else ExitStatus.DONE


def find_defaults(serving_dir: Path, version: int) -> Path | None:
    """Returns the defaults of the version that answers, or of the newest one that is here; None where none is."""
    for number in (version, *reversed(pushed_versions(serving_dir))):
        path = serving_dir / str(number) / FEATURE_DEFAULTS
        if path.exists():
            return path
    return None


def read_defaults(path: Path | None, what: Literal["missing", "separator"]) -> Mapping[str, Any]:  # Any: JSON.
    """Returns what stands for a missing value, or between several, by input; nothing where there is no file.

    Raises:
      ConfigError: the file is not what a model carries.
    """
    if path is None:
        return {}
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        return {name: entry[what] for name, entry in described.items() if what == "missing" or what in entry}
    except OSError as error:
        raise ConfigError(f"--defaults: {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f'{path} is no feature_defaults.json ({error!r}). Expected {{"input": {{"missing": value}}}}.'
        ) from error


def write_json(predictions: Iterator[Prediction]) -> tuple[int, int]:
    """Prints one object for each row; returns how many rows there were and how many were refused."""
    asked = refused = 0
    for one in predictions:
        asked += 1
        refused += bool(one.error)
        print(json.dumps({"row": one.number, **({"error": one.error} if one.error else {"prediction": one.outputs})}))
    return asked, refused


def write_csv(predictions: Iterator[Prediction], signature: Signature) -> tuple[int, int]:
    """Prints a header and a line for each row; returns as `write_json`."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    first = list(itertools.islice(predictions, 1))  # Where it is refused as a whole, nothing is printed.
    writer.writerow(["row", *signature.outputs, "error"])
    asked = refused = 0
    for one in itertools.chain(first, predictions):
        asked += 1
        refused += bool(one.error)
        writer.writerow([one.number, *(_text(one.outputs.get(name, "")) for name in signature.outputs), one.error])
    return asked, refused


def write_table(predictions: Iterator[Prediction], signature: Signature, terminal: Terminal) -> tuple[int, int]:
    """Prints the first rows and every error as a table; returns as `write_json`."""
    shown = []
    asked = refused = 0
    for one in predictions:
        asked += 1
        refused += bool(one.error)
        if asked <= _SHOWN_ROWS:
            shown.append((one.number, *(_text(one.outputs.get(name, "")) for name in signature.outputs), one.error))
        elif one.error:
            terminal.note(f"row {one.number}: {one.error}")
    terminal.table(f"Version {signature.version}", ("row", *signature.outputs, "error"), shown)
    if asked > _SHOWN_ROWS:
        terminal.note(f"{asked - _SHOWN_ROWS} more rows are not shown; --csv and --json print all")
    return asked, refused


def _text(value: Any) -> str:  # Any: JSON.
    if isinstance(value, list | dict):
        return json.dumps(value)
    return str(value)


def say_notes(notes: Notes, asked: int, refused: int, terminal: Terminal) -> None:
    """Says on standard error what was left out, filled and refused."""
    if notes.ignored:
        terminal.note(f"left out, since the model does not take them: {', '.join(sorted(notes.ignored))}")
    for name in sorted(name for name, count in notes.absent.items() if count == notes.rows and name in notes.filled):
        terminal.note(f"warning: the column {name} is missing; every row was answered with the model's default for it")
    throughout = sorted(
        name for name, count in notes.filled.items() if count == notes.rows > 1 and notes.absent.get(name) != notes.rows
    )
    if throughout:
        terminal.note(f"without a value in any row, and filled: {', '.join(throughout)}")
    if refused:
        terminal.note(f"{refused} of {asked} rows were not answered")
