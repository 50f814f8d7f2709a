"""The same options for `tensorflow_model_server`, where that is installed."""

import argparse
import tempfile
from pathlib import Path

from serving import stock_flags


def command(binary: str, args: argparse.Namespace) -> list[str]:
    """Returns the command line that serves the same models in the same way.

    The limits have no counterpart there, nor has the host: it listens on all addresses.
    """
    flags = {
        "port": args.grpc_port,
        "rest_api_port": args.port,
        "rest_api_timeout_in_ms": int(args.timeout_seconds * 1000),
        "file_system_poll_wait_seconds": round(args.poll_seconds),
        "max_num_load_retries": args.load_retries,
        "load_retry_interval_micros": int(args.load_retry_seconds * 1e6),
        "monitoring_config_file": _monitoring_config(args.metrics_path),
    }
    if args.grpc_socket_path is not None:
        flags["grpc_socket_path"] = args.grpc_socket_path.absolute()
    if args.ssl_config_file is not None:
        flags["ssl_config_file"] = args.ssl_config_file.absolute()
    if args.model_config_file is not None:
        flags["model_config_file"] = args.model_config_file.absolute()
        flags["model_config_file_poll_wait_seconds"] = round(args.model_config_file_poll_seconds)
    else:
        flags["model_name"] = args.model_name
        flags["model_base_path"] = args.model_base_path
    if args.grpc_channel_arguments:
        flags["grpc_channel_arguments"] = ",".join(f"{name}={value}" for name, value in args.grpc_channel_arguments)
    for name, asked in (
        ("allow_version_labels_for_unavailable_models", args.allow_version_labels_for_unavailable_models),
        ("rest_api_enable_cors_support", args.cors),
        ("enable_batching", args.enable_batching),
        ("enable_serialization_as_tensor_content", args.grpc_tensor_content),
        ("enable_signature_method_name_check", args.check_method_names),
    ):
        if asked:
            flags[name] = "true"
    if args.no_warm_up:
        flags["enable_model_warmup"] = "false"
    if args.batching_parameters_file is not None:
        flags["batching_parameters_file"] = args.batching_parameters_file.absolute()
    # Flags that were given in its own names go to it as they are.
    return [binary, *(f"--{name}={value}" for name, value in (flags | stock_flags.given(args)).items())]


def _monitoring_config(path: str) -> Path:
    """Writes the file that turns the metrics on; the server has no option for it."""
    with tempfile.NamedTemporaryFile("w", prefix="monitoring-", suffix=".pbtxt", delete=False) as file:
        file.write(f'prometheus_config {{ enable: true path: "{path}" }}\n')
    return Path(file.name)
