"""The flags of `tensorflow_model_server` as they are, so that launchers written for it start this server unchanged.

Its names have underscores and ours have none, but for one: `--port` is its gRPC port and our REST port. Where one of
its names is given, `--port` means what it means there, and so do the defaults.

Source: tensorflow_serving/model_servers/main.cc and server.cc of TensorFlow Serving, mid-2026.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serving import option_types
from serving.errors import OptionsError

DEFAULT_PORT = 8501
DEFAULT_GRPC_PORT = 8500
DEFAULT_MODEL_NAME = "default"
DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"

_PREFIX = "stock_"
_TRUE, _FALSE = frozenset({"", "true", "1"}), frozenset({"false", "0"})

Take = Callable[[argparse.Namespace, str], None]


def _put(name: str, convert: Callable[[str], Any]) -> Take:  # Any: an option's value.
    return lambda args, text: setattr(args, name, convert(text))


def _bool(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError("expected true or false")
    return text.lower() in _TRUE


def _or_none(text: str) -> int | None:
    return option_types.positive(text) if int(text) > 0 else None


def _milliseconds(text: str) -> float:
    return option_types.positive_seconds(str(int(text) / 1000))


def _microseconds(text: str) -> float:
    return max(0.0, int(text) * 1e-6)


def _poll_seconds(text: str) -> float:
    return option_types.seconds(text) if float(text) > 0 else 0.0


def _name(text: str) -> str:
    if not text:
        raise ValueError("expected a value")
    return text


def _path(text: str) -> Path:
    return Path(_name(text))


def _metrics_path(text: str) -> str:
    """Returns the path in a `MonitoringConfig`."""
    from serving import text_message

    inner = {"enable": (1, text_message.BOOL), "path": (2, text_message.STRING)}
    config = text_message.read(_path(text), "MonitoringConfig", {"prometheus_config": (1, inner)})
    path: str = config.prometheus_config.path
    return path or DEFAULT_METRICS_PATH


_TAKEN: Mapping[str, Take] = {
    "model_name": _put("model_name", _name),
    "model_base_path": _put("model_base_path", _name),
    "model_config_file": _put("model_config_file", _path),
    "model_config_file_poll_wait_seconds": _put("model_config_file_poll_seconds", _poll_seconds),
    "allow_version_labels_for_unavailable_models": _put("allow_version_labels_for_unavailable_models", _bool),
    "file_system_poll_wait_seconds": _put("poll_seconds", _poll_seconds),
    "max_num_load_retries": _put("load_retries", option_types.count),
    "load_retry_interval_micros": _put("load_retry_seconds", _microseconds),
    "rest_api_port": _put("port", option_types.port),
    "rest_api_num_threads": _put("threads", _or_none),
    "rest_api_timeout_in_ms": _put("timeout_seconds", _milliseconds),
    "rest_api_enable_cors_support": _put("cors", _bool),
    "grpc_socket_path": _put("grpc_socket_path", _path),
    "enable_batching": _put("enable_batching", _bool),
    "batching_parameters_file": _put("batching_parameters_file", _path),
    "grpc_channel_arguments": _put("grpc_channel_arguments", option_types.pairs),
    "enable_serialization_as_tensor_content": _put("grpc_tensor_content", _bool),
    "enable_model_warmup": _put("no_warm_up", lambda text: not _bool(text)),
    "enable_signature_method_name_check": _put("check_method_names", _bool),
    "ssl_config_file": _put("ssl_config_file", _path),
    "monitoring_config_file": _put("metrics_path", _metrics_path),
}
# What tunes TensorFlow Serving's own insides: the answers are the same without.
_WITHOUT_EFFECT = frozenset({
    "enable_grpc_healthcheck_service", "enable_per_model_batching_parameters",
    "enable_per_model_metrics", "enable_profiler",
    "flush_filesystem_caches", "grpc_max_threads",
    "mixed_precision", "num_load_threads", "num_request_iterations_for_warmup", "num_tflite_interpreters_per_pool",
    "num_tflite_pools", "num_unload_threads", "per_process_gpu_memory_fraction",
    "remove_unused_fields_from_bundle_metagraph", "rest_api_num_event_loops", "skip_initialize_tpu",
    "tensorflow_inter_op_parallelism", "tensorflow_intra_op_parallelism", "tensorflow_session_config_file",
    "tensorflow_session_parallelism", "thread_pool_factory_config_file", "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
})  # fmt: skip
# What would change the answers, or who gets them.
_REFUSED = {
    "platform_config_file": "only the platform tensorflow is served",
    "saved_model_tags": "only the tag serve is served",
    "prefer_tflite_model": "only SavedModels are served",
    "use_alts_credentials": "ALTS works on Google's machines alone",
}
_VERSION = "version"
# Values that ask for nothing else than what is done here anyhow.
_HARMLESS: Mapping[str, frozenset[str]] = {
    "saved_model_tags": frozenset({"serve"}),
    "prefer_tflite_model": _FALSE,
    "use_alts_credentials": _FALSE,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags; `--help` leaves them out."""
    for name in (*_TAKEN, *sorted(_WITHOUT_EFFECT), *_REFUSED, _VERSION):
        parser.add_argument(f"--{name}", dest=_PREFIX + name, nargs="?", const="", default=None, help=argparse.SUPPRESS)


def given(args: argparse.Namespace) -> dict[str, str]:
    """Returns the flags that were given, as they were."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in vars(args).items()
        if name.startswith(_PREFIX) and value is not None
    }


def asks_for_version(args: argparse.Namespace) -> bool:
    """Tells whether `--version` was given: which version this is, and nothing else."""
    return _VERSION in given(args)


def apply(args: argparse.Namespace) -> list[str]:
    """Gives our options the values that the flags mean, or their defaults where none was given.

    Returns:
      The flags that have no effect here.

    Raises:
      OptionsError: a value is wrong, or a flag asks for what this server does not do.
    """
    flags = given(args)
    if not flags:
        args.port = DEFAULT_PORT if args.port is None else args.port
        args.host = args.host or "127.0.0.1"
        return []
    # `--port` was read as ours; its defaults are 8500 for gRPC and no REST, on every address.
    args.model_name = DEFAULT_MODEL_NAME
    args.grpc_port = DEFAULT_GRPC_PORT if args.port is None else args.port
    args.port = 0
    args.host = args.host or "0.0.0.0"  # noqa: S104 - as there.
    for name, text in flags.items():
        if name in _REFUSED and text not in _HARMLESS.get(name, ()):
            raise OptionsError(f"--{name}: {_REFUSED[name]}.")
        if name in _TAKEN:
            try:
                _TAKEN[name](args, text)
            except (ValueError, OSError) as error:
                raise OptionsError(f"--{name}={text}: {str(error).rstrip('.')}.") from error
    if args.model_config_file is not None:
        args.model_base_path = None  # There, the file goes before the other two.
    return sorted(_WITHOUT_EFFECT & flags.keys())
