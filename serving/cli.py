"""The server's command line; nothing heavy is imported until the arguments are right."""

import argparse
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from serving import option_types, stock_flags
from serving.errors import OptionsError, ServingError
from serving.stock_flags import DEFAULT_GRPC_PORT, DEFAULT_METRICS_PATH, DEFAULT_PORT

# Where one of these is asked for, `--server auto` means the embedded server: the other would leave it out unsaid.
_OURS_ALONE = (
    "--auth-token-env", "--auth-token-file", "--grpc-reflection", "--log-dir", "--model-cache", "--op-library",
    "--tls-certificate",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the server's options, in TensorFlow Serving's terms."""
    models = parser.add_argument_group("models")
    models.add_argument("--model-name", default="model", help="name in the URLs (default: model)")
    models.add_argument(
        "--model-base-path", metavar="DIR", help="folder of numbered versions; also s3://, gs:// or abfss://"
    )
    models.add_argument(
        "--model-cache", type=Path, metavar="DIR",
        help="where copies of an object store's versions are kept (default: a folder that is removed at the end)",
    )  # fmt: skip
    models.add_argument(
        "--model-config-file", type=Path, metavar="FILE", help="a ModelServerConfig in text form: several models, "
        "version policies, labels; instead of --model-name and --model-base-path",
    )  # fmt: skip
    models.add_argument(
        "--model-config-file-poll-seconds", type=option_types.seconds, default=0.0, metavar="S",
        help="how often the file is read again (default: 0, never; a reload call over gRPC does it at any time)",
    )  # fmt: skip
    models.add_argument(
        "--allow-version-labels-for-unavailable-models", action="store_true",
        help="a new label may name a version that is not available yet",
    )  # fmt: skip
    models.add_argument(
        "--poll-seconds", type=option_types.seconds, default=1.0, metavar="S",
        help="how often the base paths are looked at (default: 1; 0: once)",
    )  # fmt: skip
    models.add_argument(
        "--load-retries",
        type=option_types.count,
        default=5,
        metavar="N",
        help="further tries of a load that failed (default: 5)",
    )
    models.add_argument(
        "--load-retry-seconds",
        type=option_types.seconds,
        default=60.0,
        metavar="S",
        help="between two tries (default: 60)",
    )
    models.add_argument("--no-warm-up", action="store_true", help="leave out the requests that a version carries")
    models.add_argument(
        "--check-method-names", action="store_true",
        help="classify and regress want a signature whose method name says so",
    )  # fmt: skip
    models.add_argument(
        "--op-library", type=Path, action="append", default=[], metavar="FILE",
        help="a shared library with operations that TensorFlow does not have; may be repeated",
    )  # fmt: skip
    network = parser.add_argument_group("network")
    network.add_argument("--host", help="address to listen on (default: this machine only)")
    network.add_argument("--port", type=option_types.port, help=f"REST port (default: {DEFAULT_PORT}; 0: no REST)")
    network.add_argument(
        "--grpc-port", type=option_types.port, default=DEFAULT_GRPC_PORT, help="gRPC port (default: 8500; 0: no gRPC)"
    )
    network.add_argument("--grpc-socket-path", type=Path, metavar="FILE", help="gRPC on a Unix socket too")
    network.add_argument(
        "--grpc-reflection", action="store_true", help="describe the gRPC services to clients that ask, such as grpcurl"
    )
    network.add_argument(
        "--grpc-channel-arguments", type=option_types.pairs, default=[], metavar="NAME=VALUE,...",
        help="settings of gRPC itself, such as grpc.max_connection_age_ms=60000",
    )  # fmt: skip
    network.add_argument(
        "--grpc-tensor-content", action="store_true",
        help="answer Predict over gRPC with the numbers as bytes, not as lists of values",
    )  # fmt: skip
    network.add_argument("--cors", action="store_true", help="answer with the headers that let web pages call")
    network.add_argument(
        "--metrics-path", default=DEFAULT_METRICS_PATH, metavar="PATH",
        help="where Prometheus reads, on the REST port (default: /monitoring/prometheus/metrics)",
    )  # fmt: skip
    network.add_argument(
        "--server", choices=("auto", "embedded", "tensorflow"), default="auto",
        help="auto: tensorflow_model_server where it is on the path, else the embedded one",
    )  # fmt: skip
    security = parser.add_argument_group("security")
    security.add_argument(
        "--tls-certificate", type=Path, metavar="FILE",
        help="speak TLS, REST and gRPC: the server's certificate and its chain, PEM; read again when it changes",
    )  # fmt: skip
    security.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's key, PEM, no password")
    security.add_argument(
        "--tls-client-ca", type=Path, metavar="FILE", help="clients need a certificate that one of these issued, PEM"
    )
    security.add_argument(
        "--ssl-config-file", type=Path, metavar="FILE",
        help="TLS for gRPC alone: an SSLConfig in text form, as tensorflow_model_server reads it",
    )  # fmt: skip
    security.add_argument(
        "--auth-token-file", type=Path, metavar="FILE",
        help="clients must show one of these bearer tokens, one a line; read again when it changes",
    )  # fmt: skip
    security.add_argument("--auth-token-env", metavar="NAME", help="the same from an environment variable")
    batching = parser.add_argument_group("batching")
    batching.add_argument("--enable-batching", action="store_true", help="run requests that wait together as one batch")
    batching.add_argument(
        "--batching-parameters-file", type=Path, metavar="FILE", help="a BatchingParameters in text form"
    )
    limits = parser.add_argument_group("limits of the embedded server")
    limits.add_argument(
        "--threads", type=option_types.positive, metavar="N",
        help="requests worked on at once (default: 4; with batching 64, which mostly wait)",
    )  # fmt: skip
    for name, default, meaning in (
        ("--max-waiting", 256, "requests that may wait for a thread; then 429"),
        ("--max-connections", 1000, "open HTTP connections; then 503"),
        ("--max-body-bytes", 100 * 2**20, "of one request; then 413"),
        ("--max-header-bytes", 64 * 2**10, "of one request; then 431"),
        ("--max-buffered-bytes", 2**29, "of all request bodies being held; then 429"),
        ("--max-values", 8_000_000, "JSON values in one request; then 413"),
    ):
        limits.add_argument(
            name, type=option_types.positive, default=default, metavar="N", help=f"{meaning} (default: {default})"
        )
    limits.add_argument(
        "--timeout-seconds",
        type=option_types.positive_seconds,
        default=30.0,
        metavar="S",
        help="of one request; then 504 (default: 30)",
    )
    limits.add_argument(
        "--idle-seconds", type=option_types.positive_seconds, default=75.0, metavar="S",
        help="then a connection without a request is closed (default: 75)",
    )  # fmt: skip
    log = parser.add_argument_group("request log of the embedded server")
    log.add_argument("--log-dir", type=Path, metavar="DIR", help="write sampled requests and answers there")
    log.add_argument(
        "--log-sample-rate",
        type=option_types.share,
        default=1.0,
        metavar="R",
        help="share of the requests to log (default: 1)",
    )
    log.add_argument(
        "--log-rotate-seconds", type=option_types.positive_seconds, default=60.0, metavar="S",
        help="a file is closed this long after its first record (default: 60)",
    )  # fmt: skip
    log.add_argument(
        "--log-rotate-bytes", type=option_types.positive, default=64 * 2**20, metavar="N",
        help=f"or once it has this many bytes (default: {64 * 2**20})",
    )  # fmt: skip

    stock_flags.add_arguments(parser)


def command(args: argparse.Namespace) -> int:
    """Serves until it is told to stop.

    Exit status: 0 stopped, 1 a model cannot be loaded or a port cannot be opened, 2 wrong usage.
    """
    if stock_flags.asks_for_version(args) and args.server != "tensorflow":
        print(f"driftgate's model server, TensorFlow {metadata.version('tensorflow')}")
        return 0
    try:
        without_effect = stock_flags.apply(args)
        _check(args)
        binary = _stock_server(args)
        if binary is not None:
            from serving import tensorflow_binary

            print(f"starting {binary}, which listens on all addresses of this machine", file=sys.stderr, flush=True)
            # In place of this process, so that signals and the exit status are its own.
            os.execv(binary, tensorflow_binary.command(binary, args))
        if without_effect:
            print(f"without effect here: {', '.join(f'--{name}' for name in without_effect)}", file=sys.stderr)
        from serving import embedded

        return embedded.serve(args)
    except OptionsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ServingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _stock_server(args: argparse.Namespace) -> str | None:
    """Returns the path of `tensorflow_model_server` where that is to serve, else None.

    Raises:
      OptionsError: it is asked for and is not there, or cannot do what else is asked for.
    """
    binary = shutil.which("tensorflow_model_server")
    ours = [option for option in _OURS_ALONE if getattr(args, option.removeprefix("--").replace("-", "_"))]
    if args.server == "tensorflow":
        if binary is None:
            raise OptionsError("--server tensorflow: tensorflow_model_server is not on the path.")
        if ours:
            raise OptionsError(
                f"{', '.join(ours)}: tensorflow_model_server has nothing like it; use --server embedded."
            )
    return binary if args.server == "tensorflow" or (args.server == "auto" and not ours) else None


def _check(args: argparse.Namespace) -> None:
    """Finds the mistakes that one option alone cannot show.

    Raises:
      OptionsError: says which options.
    """
    if (args.model_base_path is None) == (args.model_config_file is None):
        raise OptionsError("expected exactly one of --model-base-path and --model-config-file.")
    if args.model_base_path is not None and "://" not in args.model_base_path:
        if not Path(args.model_base_path).is_dir():
            raise OptionsError(f"--model-base-path: there is no folder {args.model_base_path}.")
        args.model_base_path = str(Path(args.model_base_path).absolute())
    for option, file in (
        ("--model-config-file", args.model_config_file),
        ("--batching-parameters-file", args.batching_parameters_file),
        *(("--op-library", file) for file in args.op_library),
        ("--tls-certificate", args.tls_certificate),
        ("--tls-key", args.tls_key),
        ("--tls-client-ca", args.tls_client_ca),
        ("--ssl-config-file", args.ssl_config_file),
        ("--auth-token-file", args.auth_token_file),
    ):
        if file is not None and not file.is_file():
            raise OptionsError(f"{option}: there is no file {file}.")
    if args.batching_parameters_file is not None and not args.enable_batching:
        raise OptionsError("--batching-parameters-file needs --enable-batching.")
    if args.auth_token_file is not None and args.auth_token_env is not None:
        raise OptionsError("expected one of --auth-token-file and --auth-token-env. Received both.")
    if (args.tls_certificate is None) != (args.tls_key is None):
        raise OptionsError("--tls-certificate and --tls-key need each other.")
    if args.tls_client_ca is not None and args.tls_certificate is None:
        raise OptionsError("--tls-client-ca needs --tls-certificate and --tls-key.")
    if not (args.port or args.grpc_port or args.grpc_socket_path):
        raise OptionsError("--port and --grpc-port are 0, so nothing would be served.")
    if args.port and args.port == args.grpc_port:
        raise OptionsError(f"--port and --grpc-port must differ: both are {args.port}.")
    if not args.metrics_path.startswith("/"):
        raise OptionsError(f"--metrics-path must begin with '/'. Received: {args.metrics_path!r}.")
