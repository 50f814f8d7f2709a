"""The server's text protos, parsed as the messages that they are."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.deploy.conftest import DEPLOY

# The package of TensorFlow Serving's protos leaves these out.
# Source: tensorflow_serving/servables/tensorflow/session_bundle_config.proto, config/monitoring_config.proto.
MESSAGES = """
name: "test/server_configs.proto" package: "test" syntax: "proto3" dependency: "google/protobuf/wrappers.proto"
message_type { name: "BatchingParameters"
  field { name: "max_batch_size" number: 1 label: LABEL_OPTIONAL type_name: ".google.protobuf.Int64Value" }
  field { name: "batch_timeout_micros" number: 2 label: LABEL_OPTIONAL type_name: ".google.protobuf.Int64Value" }
  field { name: "max_enqueued_batches" number: 3 label: LABEL_OPTIONAL type_name: ".google.protobuf.Int64Value" }
  field { name: "num_batch_threads" number: 4 label: LABEL_OPTIONAL type_name: ".google.protobuf.Int64Value" }
  field { name: "thread_pool_name" number: 5 label: LABEL_OPTIONAL type_name: ".google.protobuf.StringValue" }
  field { name: "allowed_batch_sizes" number: 6 label: LABEL_REPEATED type: TYPE_INT64 }
  field { name: "pad_variable_length_inputs" number: 7 label: LABEL_OPTIONAL type: TYPE_BOOL } }
message_type { name: "PrometheusConfig"
  field { name: "enable" number: 1 label: LABEL_OPTIONAL type: TYPE_BOOL }
  field { name: "path" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "MonitoringConfig"
  field { name: "prometheus_config" number: 1 label: LABEL_OPTIONAL type_name: ".test.PrometheusConfig" } }
"""


def parse(name, message_name):
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(text_format.Parse(MESSAGES, descriptor_pb2.FileDescriptorProto()))
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{message_name}"))()
    return text_format.Parse((DEPLOY / "tensorflow-serving" / name).read_text(), message)


def test_batching_never_waits_and_is_bounded():
    parameters = parse("batching.config", "BatchingParameters")

    assert parameters.batch_timeout_micros.value == 0
    assert parameters.max_batch_size.value == 1024
    assert parameters.num_batch_threads.value == 2
    assert parameters.max_enqueued_batches.value == 100
    assert not parameters.allowed_batch_sizes  # Otherwise the last one would have to be max_batch_size.


def test_metrics_are_where_the_embedded_server_has_them():
    monitoring = parse("monitoring.config", "MonitoringConfig")

    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_the_base_configuration_serves_the_newest_version_of_the_dataset_s_model():
    config = text_format.Parse((DEPLOY / "tensorflow-serving" / "models.config").read_text(), ModelServerConfig())

    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("taxi", "/models/taxi", "tensorflow")
    assert not model.HasField("model_version_policy")
