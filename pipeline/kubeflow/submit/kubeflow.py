"""Kubeflow Pipelines: runs and recurring runs, through its own `kfp` client."""

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import kfp_server_api
import urllib3
from kfp import client as kfp_client

from pipeline.errors import PipelineError
from pipeline.kubeflow.package import Json, Package
from pipeline.kubeflow.submit.follow import RunState, State, UnreachableError

T = TypeVar("T")

TIMEOUT_S = 60.0
_ENDED: dict[str, State] = {
    "SUCCEEDED": "succeeded",
    "SKIPPED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "cancelled",
}
_REMEDIES = {
    401: "Give a token: --token-file FILE.",
    403: "The token's account may not do this in this namespace.",
    404: "Check --host: it must be the address of the Kubeflow Pipelines API.",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to run.

    Attributes:
      host: the API's address.
      namespace: of a multi-user installation; "" for a single-user one.
      token: a bearer token; "" for none.
    """

    host: str
    experiment: str
    namespace: str = ""
    token: str = ""


def connect(place: Place) -> Any:  # Any: kfp's untyped client.
    """Returns a client whose every request ends within TIMEOUT_S.

    Raises:
      PipelineError: the address cannot be reached; one line.
    """
    plain = kfp_server_api.rest.RESTClientObject
    # The client asks its first question while it is made, so the class is replaced and not the object's method.
    kfp_server_api.rest.RESTClientObject = _Bounded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # It says that it needs a version 2 backend.
            return _call(
                lambda: kfp_client.Client(
                    host=place.host, namespace=place.namespace or None, existing_token=place.token or None
                )
            )
    finally:
        kfp_server_api.rest.RESTClientObject = plain


class _Bounded(kfp_server_api.rest.RESTClientObject):  # type: ignore[misc]  # It is untyped.
    """The client's transport with a limit on each request; of its own accord it waits for ever."""

    def request(self, *args: Any, **options: Any) -> Any:  # Any: as the client's own method.
        # A pair: a lone number counts only if it is an integer.
        limit = options.get("_request_timeout") or (TIMEOUT_S, TIMEOUT_S)
        return super().request(*args, **{**options, "_request_timeout": limit})


def submit(client: Any, package: Package, file: Path, parameters: Json, place: Place, name: str) -> str:
    """Starts a run and returns its id.

    Raises:
      PipelineError: the backend refused, or could not be reached; one line.
    """
    experiment = _experiment(client, place)
    made = _call(
        lambda: client.run_pipeline(
            experiment_id=experiment,
            job_name=name,
            pipeline_package_path=str(file),
            params=dict(parameters),
            pipeline_root=package.root or None,
        )
    )
    return str(made.run_id)


def schedule(client: Any, package: Package, file: Path, parameters: Json, place: Place, cron: str) -> str:
    """Starts a run at each time of `cron` (five fields), one at a time, and returns the recurring run's id.

    Raises:
      PipelineError: the backend refused, or could not be reached; one line.
    """
    experiment = _experiment(client, place)
    made = _call(
        lambda: client.create_recurring_run(
            experiment_id=experiment,
            job_name=package.name,
            # Kubeflow's own form begins with seconds.
            cron_expression=f"0 {cron}",
            # Runs share the served folder and the span records.
            max_concurrency=1,
            no_catchup=True,
            params=dict(parameters),
            pipeline_package_path=str(file),
            pipeline_root=package.root or None,
        )
    )
    return str(made.recurring_run_id)


def asker(client: Any, run_id: str) -> Callable[[], RunState]:
    """Returns a function that asks how the run is."""

    def ask() -> RunState:
        run = _call(lambda: client.get_run(run_id))
        details = (run.run_details.task_details if run.run_details else None) or []
        # Each task also has a detail for its driver and for the whole graph, which are no tasks of ours.
        tasks = {
            detail.display_name: str(detail.state)
            for detail in details
            if detail.display_name and not detail.display_name.endswith("-driver") and detail.display_name != "root"
        }
        return RunState(
            state=_ENDED.get(str(run.state), "running"),
            tasks=tasks,
            failed=tuple(sorted(task for task, state in tasks.items() if state == "FAILED")),
            message=run.error.message or "" if run.error else "",
        )

    return ask


def page(run_id: str, place: Place) -> str:
    """Returns the address of a run's page."""
    return f"{place.host.rstrip('/')}/#/runs/details/{run_id}"


def _experiment(client: Any, place: Place) -> str:
    namespace = place.namespace or None
    return str(_call(lambda: client.create_experiment(name=place.experiment, namespace=namespace)).experiment_id)


def _call(ask: Callable[[], T]) -> T:
    """Returns the answer; what goes wrong becomes one line, and what the client prints is left out."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return ask()
    except kfp_server_api.ApiException as error:
        status = int(error.status or 0)
        text = _message(error)
        if status >= 500 or status == 0:
            raise UnreachableError(f"Kubeflow did not answer ({status}): {text}") from error
        raise PipelineError(f"Kubeflow refused ({status}): {text} {_REMEDIES.get(status, '')}".strip()) from error
    except (urllib3.exceptions.HTTPError, TimeoutError, OSError) as error:
        raise UnreachableError(f"Kubeflow did not answer: {str(error).splitlines()[0][:400]}") from error


def _message(error: kfp_server_api.ApiException) -> str:
    """Returns what the backend says in words; it answers in JSON where it is itself that answers."""
    try:
        value = json.loads(error.body)
        text = str(value.get("error_message") or value.get("message") or value.get("error"))
    except (TypeError, ValueError, AttributeError):
        text = str(error.reason or error.body)
    return text.strip().splitlines()[0][:400] if text.strip() else "no reason given"
