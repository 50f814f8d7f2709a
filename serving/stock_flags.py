"""The flags of `tensorflow_model_server` as they are, so that launchers written for it start this server unchanged.

Its names have underscores and ours have none, but for one: `--port` is its gRPC port and our REST port. Where one of
its names is given, `--port` means what it means there, and so do the defaults.

Source: tensorflow_serving/model_servers/main.cc of TensorFlow Serving 2.19.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serving.errors import OptionsError

DEFAULT_PORT = 8501
DEFAULT_GRPC_PORT = 8500
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


def _scaled(factor: float) -> Callable[[str], float]:
    return lambda text: int(text) * factor


def _metrics_path(text: str) -> str:
    """Returns the path in a `MonitoringConfig`, which the package tensorflow-serving-api leaves out."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    file = descriptor_pb2.FileDescriptorProto(name="serving/monitoring_config.proto", package="driftgate.monitoring")
    inner = file.message_type.add(name="PrometheusConfig")
    inner.field.add(name="enable", number=1, label=1, type=8)
    inner.field.add(name="path", number=2, label=1, type=9)
    outer = file.message_type.add(name="MonitoringConfig")
    outer.field.add(
        name="prometheus_config", number=1, label=1, type=11, type_name=".driftgate.monitoring.PrometheusConfig"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("driftgate.monitoring.MonitoringConfig"))()
    try:
        config: Any = text_format.Parse(Path(text).read_text(encoding="utf-8"), message)
    except text_format.ParseError as error:
        raise ValueError(str(error)) from error
    return config.prometheus_config.path or DEFAULT_METRICS_PATH


_TAKEN: Mapping[str, Take] = {
    "model_name": _put("model_name", str),
    "model_base_path": _put("model_base_path", Path),
    "model_config_file": _put("model_config_file", Path),
    "model_config_file_poll_wait_seconds": _put("model_config_file_poll_seconds", float),
    "allow_version_labels_for_unavailable_models": _put("allow_version_labels_for_unavailable_models", _bool),
    "file_system_poll_wait_seconds": _put("poll_seconds", lambda text: max(0.0, float(text))),
    "max_num_load_retries": _put("load_retries", int),
    "load_retry_interval_micros": _put("load_retry_seconds", _scaled(1e-6)),
    "rest_api_port": _put("port", int),
    "rest_api_num_threads": _put("threads", int),
    "rest_api_timeout_in_ms": _put("timeout_seconds", _scaled(1e-3)),
    "rest_api_enable_cors_support": _put("cors", _bool),
    "grpc_socket_path": _put("grpc_socket_path", Path),
    "enable_batching": _put("enable_batching", _bool),
    "batching_parameters_file": _put("batching_parameters_file", Path),
    "monitoring_config_file": _put("metrics_path", _metrics_path),
}
# What tunes TensorFlow Serving's own insides: the answers are the same without.
_WITHOUT_EFFECT = frozenset({
    "enable_model_warmup", "enable_per_model_metrics", "enable_profiler", "enable_signature_method_name_check",
    "flush_filesystem_caches", "grpc_channel_arguments", "grpc_max_threads", "mixed_precision",
    "num_load_threads", "num_request_iterations_for_warmup", "num_unload_threads", "per_process_gpu_memory_fraction",
    "prefer_tflite_model", "remove_unused_fields_from_bundle_metagraph", "rest_api_num_event_loops",
    "skip_initialize_tpu", "tensorflow_inter_op_parallelism", "tensorflow_intra_op_parallelism",
    "tensorflow_session_parallelism", "thread_pool_factory_config_file", "use_alts_credentials",
    "xla_cpu_compilation_enabled",
})  # fmt: skip
# What would change the answers, or who gets them.
_REFUSED = {
    "platform_config_file": "only the platform tensorflow is served",
    "saved_model_tags": "only the tag serve is served",
    "ssl_config_file": "the embedded server speaks plain HTTP and gRPC; put a proxy that ends TLS before it",
    "tensorflow_library_path": "operations beyond TensorFlow's own are not loaded",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags; `--help` leaves them out."""
    for name in (*_TAKEN, *sorted(_WITHOUT_EFFECT), *_REFUSED):
        parser.add_argument(f"--{name}", dest=_PREFIX + name, nargs="?", const="", default=None, help=argparse.SUPPRESS)


def given(args: argparse.Namespace) -> dict[str, str]:
    """Returns the flags that were given, as they were."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in vars(args).items()
        if name.startswith(_PREFIX) and value is not None
    }


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
    args.grpc_port = DEFAULT_GRPC_PORT if args.port is None else args.port
    args.port = 0
    args.host = args.host or "0.0.0.0"  # noqa: S104 - as there.
    for name, text in flags.items():
        if name in _REFUSED and not (name == "saved_model_tags" and text == "serve"):
            raise OptionsError(f"--{name}: {_REFUSED[name]}.")
        if name in _TAKEN:
            try:
                _TAKEN[name](args, text)
            except (ValueError, OSError) as error:
                raise OptionsError(f"--{name}={text}: {error}.") from error
    return sorted(_WITHOUT_EFFECT & flags.keys())
