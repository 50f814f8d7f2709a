"""The process in which a Beam runner executes this package's code, where the package is installed beforehand.

Beam's containers start their workers with a boot program that installs what a job brought along, every time. Where this
package is on the cluster's machines already, Flink's or Spark's processes start this command instead (`PROCESS`
environment, docs/beam.md): nothing is downloaded or installed, and a worker ends with the process that started it.

Source of the arguments and of the environment variables: Beam's "SDK harness container contract".
"""

import argparse
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Serves one runner until it closes the control connection."""
    parser = argparse.ArgumentParser(prog="driftgate-beam-worker", description="Started by a Beam runner.")
    parser.add_argument("--id", required=True, help="the worker's name")
    parser.add_argument("--provision_endpoint", required=True, metavar="HOST:PORT", help="tells everything else")
    args, _ = parser.parse_known_args(argv)

    from apache_beam.runners.worker import sdk_worker_main

    os.environ.update(provisioned(args.provision_endpoint, args.id))
    sdk_worker_main.main(sys.argv[:1])
    return 0


def provisioned(endpoint: str, worker_id: str) -> dict[str, str]:
    """Returns what the runner tells a worker, as the environment variables that Beam's worker reads.

    Raises:
      grpc.RpcError: the runner does not answer within a minute.
    """
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
    from google.protobuf import json_format, text_format

    with grpc.insecure_channel(endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        answer = service.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker_id)],
            timeout=60,
            wait_for_ready=True,
        )
    return {
        "WORKER_ID": worker_id,
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(answer.info.control_endpoint),
        "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(answer.info.logging_endpoint),
        "PIPELINE_OPTIONS": json_format.MessageToJson(answer.info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(answer.info.runner_capabilities),
    }


if __name__ == "__main__":
    sys.exit(main())
