"""`kubeflow_runner.py submit`: a compiled file to Vertex or to a Kubeflow cluster, once or on a schedule."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.commands import options
from pipeline.commands.rehearse import add_pipeline, check, parse_parameters
from pipeline.errors import ConfigError, ExitStatus
from pipeline.kubeflow import extras
from pipeline.kubeflow import package as packages
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.submit.follow import RunState, follow

_CRON_FIELDS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `submit` reads."""
    parser.add_argument("--to", choices=("vertex", "kubeflow"), required=True, help="the backend")
    add_pipeline(parser)
    parser.add_argument("--schedule", metavar="CRON", help="start a run at each of these times, one at a time")
    parser.add_argument("--wait", action="store_true", help="follow the run; the exit status is its outcome's")
    parser.add_argument(
        "--poll", type=float, default=30.0, metavar="SECONDS", help="how often --wait asks (default: 30)"
    )
    options.add_json(parser)
    vertex = parser.add_argument_group("vertex")
    vertex.add_argument("--project", help="the Google Cloud project")
    vertex.add_argument("--region", help="such as europe-west4")
    vertex.add_argument("--service-account", metavar="EMAIL", help="what tasks run as (default: the project's)")
    vertex.add_argument("--network", metavar="NAME", help="full name of a peered network")
    vertex.add_argument("--api-endpoint", metavar="URL", help="another endpoint than the region's")
    kubeflow = parser.add_argument_group("kubeflow")
    kubeflow.add_argument("--host", metavar="URL", help="the Kubeflow Pipelines API")
    kubeflow.add_argument("--experiment", metavar="NAME", help="default: the pipeline's name")
    kubeflow.add_argument("--namespace", metavar="NAME", help="of a multi-user installation")
    kubeflow.add_argument("--token-file", type=Path, metavar="FILE", help="holds a bearer token")


def command(args: argparse.Namespace) -> int:
    """Submits once.

    Returns:
      The exit status: 0 submitted, or with --wait succeeded; 3 the run refused its span; 1 it failed.

    Raises:
      PipelineError: wrong options, a file that the backend could not run, or the backend refused.
    """
    from pipeline.kubeflow import locations

    extras.require(args.to)
    package = packages.read(args.pipeline)
    if package.target != args.to:
        raise ConfigError(f"{args.pipeline} was compiled for {package.target}. Compile it with --target {args.to}.")
    check(package)
    parameters = parse_parameters(args.param, package)
    if not locations.is_remote(package.root):
        raise ConfigError(
            f"{args.pipeline}: no cluster reaches {package.root or 'its artifacts'}. "
            "Compile it with --pipeline-root gs://BUCKET/PATH."
        )
    if args.schedule is not None:
        check_cron(args.schedule, wait=args.wait)
    name = f"{package.name}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    submitted, page, ask = (_vertex if args.to == "vertex" else _kubeflow)(args, package, parameters, name)
    kind = "schedule" if args.schedule is not None else "run"
    print(f"{package.name}: {kind} {submitted}\n{page}".rstrip(), file=sys.stderr)
    value: dict[str, Any] = {kind: submitted, "page": page}  # Any: JSON.
    status = ExitStatus.DONE
    if args.wait:
        result, last = follow(ask, poll_s=args.poll, say=lambda text: print(text, file=sys.stderr, flush=True))
        print(f"{package.name}: {result.text} {last.message}".rstrip(), file=sys.stderr)
        status = result.exit_status
        value |= {"result": result, "exit_status": status, "failed": list(last.failed), "message": last.message}
    if args.json:
        print(json.dumps(value, sort_keys=True))
    return status


Submitted = tuple[str, str, Callable[[], RunState]]


def check_cron(cron: str, *, wait: bool) -> None:
    """Raises ConfigError unless there are five fields, after a time zone at most, and nothing is to be waited for."""
    fields = [field for field in cron.split() if not field.startswith(("TZ=", "CRON_TZ="))]
    if len(fields) != _CRON_FIELDS:
        raise ConfigError(f"--schedule: expected five fields, such as '0 6 * * *'. Received: {cron!r}.")
    if wait:
        raise ConfigError("--wait: a schedule has no end to wait for.")


def _vertex(args: argparse.Namespace, package: Package, parameters: dict[str, Any], name: str) -> Submitted:
    if not args.project or not args.region:
        raise ConfigError("submit --to vertex needs --project PROJECT and --region REGION.")
    from pipeline.kubeflow.submit import vertex

    place = vertex.Place(
        project=args.project,
        region=args.region,
        endpoint=args.api_endpoint or "",
        service_account=args.service_account or "",
        network=args.network or "",
    )
    if args.schedule is not None:
        made = vertex.schedule(package, parameters, place, args.schedule)
        return made, "", vertex.asker(made, place)
    made = vertex.submit(package, parameters, place, name)
    return made, vertex.page(made, place), vertex.asker(made, place)


def _kubeflow(args: argparse.Namespace, package: Package, parameters: dict[str, Any], name: str) -> Submitted:
    if not args.host:
        raise ConfigError("submit --to kubeflow needs --host URL.")
    from pipeline.kubeflow.submit import kubeflow

    place = kubeflow.Place(
        host=args.host,
        experiment=args.experiment or package.name,
        namespace=args.namespace or "",
        token=_token(args.token_file),
    )
    client = kubeflow.connect(place)
    if args.schedule is not None:
        made = kubeflow.schedule(client, package, args.pipeline, parameters, place, args.schedule)
        return made, "", kubeflow.asker(client, made)
    made = kubeflow.submit(client, package, args.pipeline, parameters, place, name)
    return made, kubeflow.page(made, place), kubeflow.asker(client, made)


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"--token-file: {path} cannot be read: {error.strerror}.") from error
