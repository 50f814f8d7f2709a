"""The server's command line; TensorFlow is imported only once the arguments are right."""

import argparse
import contextlib
import logging
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

LOADING_POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the server's options, in TensorFlow Serving's terms."""
    parser.add_argument("--model-name", default="model", help="name in the URLs (default: model)")
    parser.add_argument("--model-base-path", type=Path, required=True, help="folder of numbered versions")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8501, help="REST port (default: 8501)")
    parser.add_argument(
        "--grpc-port", type=int, default=8500, help="gRPC port of tensorflow_model_server (default: 8500)"
    )
    parser.add_argument(
        "--server",
        choices=("auto", "embedded", "tensorflow"),
        default="auto",
        help="auto: tensorflow_model_server where it is on the path, else the embedded one",
    )
    parser.add_argument(
        "--poll-seconds", type=float, default=1.0, help="how often the folder is looked at (default: 1)"
    )
    parser.add_argument("--threads", type=int, default=4, help="requests worked on at once (default: 4)")
    parser.add_argument("--max-body-bytes", type=int, default=100 * 2**20, help="larger bodies are answered 413")
    parser.add_argument("--timeout-seconds", type=float, default=30.0, help="longer requests are answered 504")


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop. Exit status: 0 stopped, 1 the first version cannot be loaded, 2 wrong usage."""
    if not args.model_base_path.is_dir():
        print(f"error: --model-base-path: there is no folder {args.model_base_path}.", file=sys.stderr)
        return 2
    binary = shutil.which("tensorflow_model_server")
    if args.server == "tensorflow" and binary is None:
        print("error: --server tensorflow: tensorflow_model_server is not on the path.", file=sys.stderr)
        return 2
    if binary is not None and args.server != "embedded":
        command = [
            binary,
            f"--rest_api_port={args.port}",
            f"--port={args.grpc_port}",
            f"--model_name={args.model_name}",
        ]
        command += [
            f"--model_base_path={args.model_base_path.absolute()}",
            f"--rest_api_timeout_in_ms={int(args.timeout_seconds * 1000)}",
        ]
        return subprocess.run(command, check=False).returncode
    return serve(args)


def serve(args: argparse.Namespace) -> int:
    """Runs the embedded server: the port opens once a version answers."""
    import uvicorn

    from serving.http_app import Application, Limits
    from serving.metrics import Metrics
    from serving.service import Service, poll_forever
    from serving.versions import VersionManager

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    manager = VersionManager(args.model_name, args.model_base_path.absolute())
    manager.poll()
    stop = threading.Event()
    while not manager.is_available():
        if manager.failure():
            print(f"error: {manager.failure()}", file=sys.stderr)
            return 1
        stop.wait(LOADING_POLL_S)
        manager.poll()
    models = {args.model_name: manager}
    limits = Limits(body_bytes=args.max_body_bytes, timeout_s=args.timeout_seconds, executions=args.threads)
    config = uvicorn.Config(
        Application(Service(models, Metrics()), limits),
        host=args.host,
        port=args.port,
        lifespan="off",
        access_log=False,
        log_level="warning",
        http="httptools",
    )
    poller = threading.Thread(target=poll_forever, args=(models, args.poll_seconds, stop), daemon=True)
    poller.start()
    print(f"Serving {args.model_name} at http://{args.host}:{args.port}/v1/models/{args.model_name}", flush=True)

    class Server(uvicorn.Server):
        """Ends after SIGTERM as after SIGINT: requests under way are answered, and the exit status is 0."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    Server(config).run()
    stop.set()
    return 0
