"""After a run, everything that the deployment mounts and names is there."""

import subprocess
import sys

import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.e2e.conftest import REPOSITORY

pytestmark = pytest.mark.e2e


def test_every_mounted_path_exists_after_a_run_and_holds_what_the_server_is_told(pushed, tmp_path):
    root, done = pushed
    version = done.json["pushed_version"]
    rendered = tmp_path / "rendered"
    subprocess.run(
        [
            sys.executable,
            REPOSITORY / "deploy" / "labels.py",
            *("--pushed", root / "serving" / "taxi", "--output", rendered / "models.config"),
            *("--server", "http://127.0.0.1:9"),
        ],
        check=True,
        timeout=120,
    )

    service = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text())["services"]["tensorflow-serving"]
    # What the variables of the Compose file stand for: their defaults name this layout below the repository.
    assert {volume["source"] for volume in service["volumes"] if "$" in volume["source"]} == {
        "${PUSHED:-../runs/taxi/serving}",
        "${RENDERED:-./rendered}",
    }
    values = {"${PUSHED:-../runs/taxi/serving}": root / "serving", "${RENDERED:-./rendered}": rendered}
    mounts = {
        volume["target"]: values.get(volume["source"], REPOSITORY / "deploy" / volume["source"])
        for volume in service["volumes"]
    }
    for path in mounts.values():
        assert path.is_dir()
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in service["command"])
    config_path = flags["model_config_file"]
    config = text_format.Parse(
        (mounts[config_path.rsplit("/", 1)[0]] / config_path.rsplit("/", 1)[1]).read_text(), ModelServerConfig()
    )
    (model,) = config.model_config_list.config
    assert dict(model.version_labels) == {"stable": version, "canary": version}
    assert list(model.model_version_policy.specific.versions) == [version]
    folder = mounts["/models"] / model.base_path.removeprefix("/models/") / str(version)
    assert (folder / "saved_model.pb").is_file()
    # The warm-up that TensorFlow Serving replays before the version answers: one row, and a batch.
    warm_up = folder / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(data) for data in tf.data.TFRecordDataset(str(warm_up)).as_numpy_iterator()]
    assert [log.predict_log.request.inputs["fare"].tensor_shape.dim[0].size for log in logs] == [1, 128]
    assert {log.predict_log.request.model_spec.name for log in logs} == {"taxi"}
