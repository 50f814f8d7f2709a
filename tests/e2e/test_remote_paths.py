"""The pipeline on a file system that is not the disk's: TensorFlow's `ram://`, in the place of a bucket.

Every path goes through TensorFlow's file systems as `gs://` does; whatever opens one with Python's own functions fails.
"""

import os
import subprocess
import sys

import pytest

from tests.e2e.conftest import REPOSITORY, TIMEOUT_S

pytestmark = pytest.mark.e2e

# In a process of its own: what is in memory dies with it, and other tests keep their file systems.
SCRIPT = """
import sys
import tensorflow as tf
from tfx.dsl.io import filesystem_registry
from tfx.dsl.io.plugins import tensorflow_gfile

class Ram(tensorflow_gfile.TensorflowFilesystem):
    SUPPORTED_SCHEMES = ["ram://"]

    @staticmethod
    def listdir(path):
        # ram:// lists `model_run` among the children of `model`, as `_run`.
        return [name for name in tf.io.gfile.listdir(path) if tf.io.gfile.exists(f"{path}/{name}")]

    @staticmethod
    def walk(top, topdown=True, onerror=None):
        for folder, folders, files in tf.io.gfile.walk(top, topdown, onerror):
            yield folder, folders, [name for name in files if tf.io.gfile.exists(f"{folder}/{name}")]

filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(Ram, priority=0)

from pipeline.runs import node_runner
from pipeline.config.dataset import load_dataset
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.pipeline import create_pipeline

data, metadata = sys.argv[1:]
for span in (4, 5):
    tf.io.gfile.makedirs(f"ram://bucket/data/span-{span}")
    tf.io.gfile.copy(f"{data}/span-{span}/data.csv", f"ram://bucket/data/span-{span}/data.csv")
config = dict(
    dataset=load_dataset("taxi"),
    data_root="ram://bucket/data",
    span=None,
    pipeline_root="ram://bucket/root",
    serving_dir="ram://bucket/serving/taxi",
    state_dir="ram://bucket/state",
    metadata_path=metadata,
)
for run in range(2):
    ended = lambda result: print(run, result.node, result.status, flush=True)
    node_runner.run(create_pipeline(PipelineConfig(**config)), on_start=lambda node: None, on_end=ended)
    # The second run finds the model that the first one pushed.
    config["state_token"] = "another"
    config["live_version"], = Ram.listdir("ram://bucket/serving/taxi")
print("VERSION", sorted(Ram.listdir("ram://bucket/serving/taxi/" + config["live_version"])))
print("STATE", Ram.listdir("ram://bucket/state"))
"""


def test_nothing_but_the_metadata_is_on_the_disk(pushed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, os.fspath(pushed[0] / "data"), os.fspath(tmp_path / "metadata.sqlite")],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=REPOSITORY,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert "0 Pusher ran" in lines
    assert "1 RerunGate ran" in lines
    assert "1 Trainer skipped" in lines
    (version,) = [line for line in lines if line.startswith("VERSION")]
    assert "saved_model.pb" in version
    assert "assets.extra" in version
    assert "STATE ['span-5-version-0.json']" in lines
