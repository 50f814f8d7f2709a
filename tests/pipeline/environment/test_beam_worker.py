"""The worker's side of Beam's provision service, and that it serves a runner which speaks the real protocol."""

import json
import subprocess
import sys
from concurrent import futures

import grpc
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
)
from google.protobuf import json_format, struct_pb2

from pipeline.environment import beam_worker

OPTIONS = {"beam:option:job_name:v1": "statistics"}


class Runner(
    beam_provision_api_pb2_grpc.ProvisionServiceServicer,
    beam_fn_api_pb2_grpc.BeamFnControlServicer,
    beam_fn_api_pb2_grpc.BeamFnLoggingServicer,
):
    """The three services that a runner offers to a worker; ends the control stream once the worker has come."""

    address = ""

    def __init__(self):
        self.asked_by = []
        self.controlled = []

    def GetProvisionInfo(self, request, context):
        self.asked_by.append(dict(context.invocation_metadata())["worker_id"])
        info = beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=json_format.ParseDict(OPTIONS, struct_pb2.Struct()),
            runner_capabilities=["beam:protocol:control_response_elements_embedding:v1"],
        )
        info.control_endpoint.url = info.logging_endpoint.url = self.address
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)

    def Control(self, responses, context):
        self.controlled.append(dict(context.invocation_metadata())["worker_id"])
        return iter(())

    def Logging(self, entries, context):
        return iter(())


@pytest.fixture
def runner():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    services = Runner()
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(services, server)
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(services, server)
    beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(services, server)
    services.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield services
    server.stop(0)


def test_the_environment_is_what_the_runner_tells(runner):
    environment = beam_worker.provisioned(runner.address, "1-1")

    assert runner.asked_by == ["1-1"]
    assert environment["WORKER_ID"] == "1-1"
    assert environment["CONTROL_API_SERVICE_DESCRIPTOR"] == f'url: "{runner.address}"\n'
    assert environment["LOGGING_API_SERVICE_DESCRIPTOR"] == f'url: "{runner.address}"\n'
    assert json.loads(environment["PIPELINE_OPTIONS"]) == OPTIONS
    assert environment["RUNNER_CAPABILITIES"] == "beam:protocol:control_response_elements_embedding:v1"


def test_a_worker_ends_when_its_runner_has_no_more_work(runner):
    command = [
        sys.executable,
        "-m",
        "pipeline.environment.beam_worker",
        "--id=2-1",
        f"--provision_endpoint={runner.address}",
    ]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert runner.controlled == ["2-1"]
    assert done.returncode == 0, done.stderr
