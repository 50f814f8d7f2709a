"""Vertex AI Pipelines: CreatePipelineJob and CreateSchedule, through Google's client library.

Its generated clients, not `aiplatform.PipelineJob`: that one makes a bucket where it finds none, asks for it again for
two minutes where it may not, and swallows the answer.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from google.api_core import exceptions
from google.auth import credentials as auth
from google.auth import exceptions as auth_exceptions
from google.cloud import aiplatform_v1

from pipeline.errors import ConfigError, PipelineError
from pipeline.kubeflow.package import Json, Package
from pipeline.kubeflow.submit.follow import RunState, UnreachableError

T = TypeVar("T")

TIMEOUT_S = 60.0
_ENDED = {"PIPELINE_STATE_SUCCEEDED": "succeeded", "PIPELINE_STATE_CANCELLED": "cancelled"}
_ENDED |= dict.fromkeys(("PIPELINE_STATE_FAILED", "PIPELINE_STATE_PAUSED"), "failed")
# What the client puts before the service's own words.
_REQUEST_LINE = re.compile(r"(GET|POST) https?://\S+: ")
_REMEDIES = {
    401: "Log in: gcloud auth application-default login.",
    403: "The caller needs roles/aiplatform.user on the project, and iam.serviceAccounts.actAs on the service account.",
    404: "Check --project and --region, and that aiplatform.googleapis.com is enabled.",
    429: "A quota is used up; see IAM & Admin, Quotas, or try again later.",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to run.

    Attributes:
      endpoint: another API endpoint than the region's; one with `http://` is asked without credentials.
      service_account: what the tasks run as; "" for the project's default.
      network: full name of a peered network; "" for none.
    """

    project: str
    region: str
    endpoint: str = ""
    service_account: str = ""
    network: str = ""

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"


def pipeline_job(package: Package, parameters: Json, place: Place) -> Any:  # Any: proto-plus message.
    """Returns the PipelineJob, with the run's parameters over the file's."""
    job = {
        "displayName": package.display_name,
        "labels": package.labels,
        "pipelineSpec": package.spec,
        "runtimeConfig": {
            "gcsOutputDirectory": package.root,
            "parameterValues": {**package.parameters, **parameters},
        },
    }
    if place.service_account:
        job["serviceAccount"] = place.service_account
    if place.network:
        job["network"] = place.network
    return aiplatform_v1.PipelineJob.from_json(json.dumps(job))


def submit(package: Package, parameters: Json, place: Place, job_id: str) -> str:
    """Starts a run and returns its resource name.

    Raises:
      PipelineError: Vertex refused, or could not be reached; one line.
    """
    client = _client(aiplatform_v1.PipelineServiceClient, place)
    job = pipeline_job(package, parameters, place)
    made = _call(
        lambda: client.create_pipeline_job(
            parent=place.parent, pipeline_job=job, pipeline_job_id=job_id, timeout=TIMEOUT_S
        )
    )
    return str(made.name)


def schedule(package: Package, parameters: Json, place: Place, cron: str) -> str:
    """Starts a run at each time of `cron`, one at a time, and returns the schedule's resource name.

    Raises:
      PipelineError: Vertex refused, or could not be reached; one line.
    """
    client = _client(aiplatform_v1.ScheduleServiceClient, place)
    request = aiplatform_v1.CreatePipelineJobRequest(
        parent=place.parent, pipeline_job=pipeline_job(package, parameters, place)
    )
    wanted = aiplatform_v1.Schedule(
        display_name=package.display_name,
        cron=cron,
        # Runs share the served folder and the span records: the next waits its turn, and is not left out.
        max_concurrent_run_count=1,
        allow_queueing=True,
        create_pipeline_job_request=request,
    )
    made = _call(lambda: client.create_schedule(parent=place.parent, schedule=wanted, timeout=TIMEOUT_S))
    return str(made.name)


def asker(name: str, place: Place) -> Callable[[], RunState]:
    """Returns a function that asks how the run is."""
    client = _client(aiplatform_v1.PipelineServiceClient, place)

    def ask() -> RunState:
        job = _call(lambda: client.get_pipeline_job(name=name, timeout=TIMEOUT_S))
        tasks = {detail.task_name: detail.state.name for detail in job.job_detail.task_details}
        failed = tuple(sorted(task for task, state in tasks.items() if state == "FAILED"))
        state = _ENDED.get(job.state.name, "running")
        return RunState(state=state, tasks=tasks, failed=failed, message=job.error.message)  # type: ignore[arg-type]

    return ask


def page(name: str, place: Place) -> str:
    """Returns the address of a run's page in Google's console."""
    return (
        f"https://console.cloud.google.com/vertex-ai/locations/{place.region}/pipelines/runs/"
        f"{name.rsplit('/', 1)[-1]}?project={place.project}"
    )


def _client(kind: Any, place: Place) -> Any:  # Any: generated client classes.
    endpoint = place.endpoint or f"{place.region}-aiplatform.googleapis.com"
    anonymous = auth.AnonymousCredentials() if endpoint.startswith("http://") else None
    try:
        return kind(credentials=anonymous, client_options={"api_endpoint": endpoint}, transport="rest")
    except auth_exceptions.DefaultCredentialsError as error:
        raise ConfigError(
            "There are no Google Cloud credentials. Log in: gcloud auth application-default login, or name a key file "
            "in GOOGLE_APPLICATION_CREDENTIALS."
        ) from error


def _call(ask: Callable[[], T]) -> T:
    """Returns the answer; what goes wrong becomes one line."""
    try:
        return ask()
    except (exceptions.RetryError, exceptions.ServerError, requests.ConnectionError, requests.Timeout) as error:
        raise UnreachableError(f"Vertex did not answer: {_first_line(error)}") from error
    except exceptions.GoogleAPICallError as error:
        remedy = _REMEDIES.get(error.code or 0, "")
        text = f"Vertex refused ({error.code}): {_first_line(error.message)}"
        raise PipelineError(f"{text} {remedy}".strip()) from error
    except auth_exceptions.GoogleAuthError as error:
        raise ConfigError(f"Google Cloud's credentials were not accepted: {_first_line(error)}") from error


def _first_line(error: object) -> str:
    lines = _REQUEST_LINE.sub("", str(error)).strip().splitlines()
    return lines[0][:400] if lines else type(error).__name__
