"""The local command line: run the pipeline on one machine, look at what it did.

Nothing heavy is imported until a command needs it, so `--help` and wrong usage answer at once.
Exit status: 0 pushed or nothing to do, 2 wrong usage or configuration, 3 the data was refused, 4 the candidate was
not blessed, 130 interrupted, 1 anything unexpected.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import beam_options
from pipeline.errors import PipelineError
from serving import cli as server


def main(argv: Sequence[str] | None = None) -> int:
    """Parses `argv`, runs one command and returns its exit status."""
    args = build_parser().parse_args(argv)
    try:
        status: int = args.command(args)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is lost, the same command carries on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return status


def build_parser() -> argparse.ArgumentParser:
    """Returns the whole command line; the docs' `--help` texts are made from it."""
    parser = argparse.ArgumentParser(prog="local_runner.py", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the pipeline on one span", description="Run the pipeline on one span.")
    _add_dataset(run)
    run.add_argument("--span", type=int, metavar="N", help="the span to process (default: the newest)")
    run.add_argument(
        "--force", action="store_true", help="rerun even where nothing asks for it; broken data still blocks"
    )
    only = run.add_mutually_exclusive_group()
    only.add_argument("--explain", action="store_true", help="only look at the decision; nothing is recorded")
    only.add_argument("--decide", action="store_true", help="record the decision and stop; `run` carries on from there")
    beam_options.add_arguments(run)
    run.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    run.set_defaults(command=_run)

    watch = commands.add_parser("watch", help="process each new span as it arrives", description="Watch for new spans.")
    _add_dataset(watch)
    watch.add_argument("--poll", type=float, default=30.0, metavar="SECONDS", help="how often to look (default: 30)")
    watch.add_argument(
        "--tries", type=int, default=2, metavar="N", help="then a failing span is set aside (default: 2)"
    )
    watch.add_argument("--once", action="store_true", help="end when nothing is waiting")
    beam_options.add_arguments(watch)
    _add_metrics(watch)
    watch.set_defaults(command=_watch)

    replay = commands.add_parser(
        "replay", help="play all spans in order on a fresh root", description="Play a dataset's spans in order."
    )
    _add_dataset(replay)
    replay.add_argument("--spans", metavar="A-B", help="only these (default: all)")
    replay.add_argument("--compare", action="store_true", help="also always and never retrain, side by side")
    replay.add_argument("--keep", action="store_true", help="keep the artifacts of every step")
    replay.add_argument("--json", action="store_true", help="print one JSON object")
    replay.set_defaults(command=_replay)

    drift = commands.add_parser(
        "drift", help="compare a span with the live model's data", description="Compare a span; nothing is recorded."
    )
    _add_dataset(drift)
    drift.add_argument("--span", type=int, metavar="N", help="the span to compare (default: the newest)")
    drift.add_argument("--against", type=int, metavar="M", help="another span (default: the live model's window)")
    drift.add_argument("--plot", metavar="FILE", help="draw what moved most into FILE.png or FILE.svg")
    drift.add_argument("--json", action="store_true", help="print one JSON object")
    drift.set_defaults(command=_drift)

    spans = commands.add_parser("spans", help="what exists and what was processed", description="List the spans.")
    _add_dataset(spans)
    spans.add_argument("--json", action="store_true", help="print one JSON object")
    spans.set_defaults(command=_spans)

    status = commands.add_parser("status", help="pushed versions and newest decisions", description="Show the state.")
    _add_dataset(status)
    status.add_argument("--json", action="store_true", help="print one JSON object")
    status.set_defaults(command=_status)

    predict = commands.add_parser(
        "predict",
        help="ask a served model about rows",
        description="Ask a served model about rows: any TensorFlow Serving REST endpoint, the local server by default. "
        "With --batch, let a pushed version predict a whole span or file, without a server.",
    )
    _add_dataset(predict)
    predict.add_argument(
        "file", nargs="?", default="-", help="CSV with a header, JSON lines or a JSON array (default: standard input)"
    )
    predict.add_argument(
        "--url", metavar="URL", help="http://HOST:PORT/v1/models/NAME (default: 127.0.0.1:8501, the dataset's model)"
    )
    predict.add_argument("--signature", default="serving_default", metavar="NAME", help="(default: serving_default)")
    predict.add_argument(
        "--defaults",
        type=Path,
        metavar="FILE",
        help="what stands for missing values (default: assets.extra/feature_defaults.json of the pushed version)",
    )
    predict.add_argument("--batch-size", type=int, default=256, metavar="N", help="rows of a request (default: 256)")
    predict.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="of a request (default: 30)")
    predict.add_argument("--batch", action="store_true", help="predict offline, with a pushed version")
    predict.add_argument("--span", type=int, metavar="N", help="with --batch: this span's rows")
    predict.add_argument("--version", type=int, metavar="N", help="with --batch: (default: the live version)")
    predict.add_argument(
        "--output", metavar="PATH", help="with --batch: a .csv or .parquet file, or a folder of PredictionLog TFRecords"
    )
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object for each row; of a batch, one in all")
    form.add_argument("--csv", action="store_true", help="print CSV")
    predict.set_defaults(command=_predict)

    rollback = commands.add_parser(
        "rollback", help="make an earlier version live again", description="Make an earlier pushed version live again."
    )
    _add_root(rollback)
    which = rollback.add_mutually_exclusive_group()
    which.add_argument("--to", type=int, metavar="VERSION", help="(default: the one that was live before)")
    which.add_argument("--undo", action="store_true", help="make live what the last rollback replaced")
    rollback.add_argument("--json", action="store_true", help="print one JSON object")
    rollback.set_defaults(command=_rollback)
    report = commands.add_parser(
        "report", help="the page of a run", description="Find a run's report, or make it again from its artifacts."
    )
    _add_root(report)
    of = report.add_mutually_exclusive_group()
    of.add_argument("--span", type=int, metavar="N", help="of this span's newest run")
    of.add_argument("--last", action="store_true", help="of the newest run (the default)")
    report.add_argument("--open", action="store_true", help="open it in the browser")
    report.add_argument("--output", type=Path, metavar="FILE", help="make it anew, into FILE")
    report.set_defaults(command=_report)

    serve = commands.add_parser(
        "serve",
        help="serve a pushed model over REST and gRPC",
        description="Serve a pushed model over TensorFlow Serving's REST and gRPC.",
    )
    server.add_arguments(serve)
    serve.set_defaults(command=server.run)

    monitor = commands.add_parser(
        "monitor",
        help="served requests against the training data",
        description="Turn the request log into statistics, compare them with the training data, tell the gate.",
    )
    _add_root(monitor)
    monitor.add_argument("--log-dir", type=Path, required=True, metavar="DIR", help="the request log's folder")
    monitor.add_argument(
        "--labels", metavar="DIR", help="folder of spans whose labels belong to requests, such as the data root"
    )
    often = monitor.add_mutually_exclusive_group()
    often.add_argument("--every", type=float, default=60.0, metavar="SECONDS", help="how often to look (default: 60)")
    often.add_argument("--once", action="store_true", help="look once, for cron")
    monitor.add_argument(
        "--server-url", metavar="URL", help="model server's REST address, to export which versions it has loaded"
    )
    _add_metrics(monitor)
    monitor.add_argument("--judge-open", action="store_true", help="judge windows that are not over, too")
    monitor.add_argument("--json", action="store_true", help="print one JSON object for each look")
    monitor.set_defaults(command=_monitor)

    doctor = commands.add_parser("doctor", help="what this machine lacks", description="Look at this machine.")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.set_defaults(command=_doctor)
    return parser


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument(
        "--data-root", metavar="DIR", help="folder of the spans (default: the shipped ones, written below the root)"
    )


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        default="taxi",
        metavar="NAME|PATH",
        help="a shipped dataset, or a folder with a dataset.toml (default: taxi)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="folder of metadata, artifacts and pushed models (default: runs/DATASET)",
    )


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics-port", metavar="[HOST:]PORT", help="serve Prometheus metrics there (default host: this machine only)"
    )
    parser.add_argument(
        "--metrics-file", type=Path, metavar="FILE", help="write them as a text file, for node_exporter"
    )


def _exporting(args: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    if args.metrics_port is None and args.metrics_file is None:
        return contextlib.nullcontext()
    from monitoring import exporter

    return exporter.exporting(args)


def _run(args: argparse.Namespace) -> int:
    from pipeline.commands import run

    return run.command(args)


def _watch(args: argparse.Namespace) -> int:
    from pipeline.commands import watch

    with _exporting(args):
        return watch.command(args)


def _replay(args: argparse.Namespace) -> int:
    from pipeline.commands import replay

    return replay.command(args)


def _drift(args: argparse.Namespace) -> int:
    from pipeline.commands import drift

    return drift.command(args)


def _spans(args: argparse.Namespace) -> int:
    from pipeline.commands import status as look

    return look.spans(args)


def _status(args: argparse.Namespace) -> int:
    from pipeline.commands import status as look

    return look.status(args)


def _monitor(args: argparse.Namespace) -> int:
    from monitoring import command

    with _exporting(args):
        return command.run(args)


def _predict(args: argparse.Namespace) -> int:
    if args.batch:
        from pipeline.commands import predict_batch

        return predict_batch.command(args)
    from pipeline.commands import predict

    return predict.command(args)


def _rollback(args: argparse.Namespace) -> int:
    from pipeline.commands import rollback

    return rollback.command(args)


def _report(args: argparse.Namespace) -> int:
    from pipeline.commands import report

    return report.command(args)


def _doctor(args: argparse.Namespace) -> int:
    from pipeline.environment import doctor

    return doctor.main(["--json"] if args.json else [])


def console_main() -> None:
    """Entry point of the installed command."""
    sys.exit(main())


if __name__ == "__main__":
    console_main()
