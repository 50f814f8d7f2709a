"""What the cluster is made of, without starting it; `make prove-flink` starts it."""

from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions

from benchmarks.distributed import flink_cluster
from benchmarks.distributed.flink_cluster import Cluster, ClusterError
from pipeline import beam_options


def test_the_runner_is_of_a_flink_version_that_beam_still_names():
    coordinates = flink_cluster.coordinates()

    assert ("org.apache.beam", "beam-runners-flink-1.19", "2.62.0") in coordinates
    (runner,) = (artifact for _, artifact, _ in coordinates if artifact.startswith("beam-runners-flink-"))
    assert runner.removeprefix("beam-runners-flink-") in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS


def test_what_was_fetched_for_this_pom_is_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "pom.xml").write_bytes(flink_cluster.POM.read_bytes())
    (tmp_path / "flink.jar").touch()

    assert flink_cluster.fetch(tmp_path) == tmp_path
    assert (tmp_path / "flink.jar").exists()


def test_without_maven_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ClusterError, match="apt-get install maven"):
        flink_cluster.fetch(tmp_path / "empty")


def test_a_lost_task_managers_work_fits_on_the_other():
    settings = flink_cluster.configuration(8081, 6123, Path("/tmp/cluster"))

    assert int(settings["taskmanager.numberOfTaskSlots"]) >= int(settings["parallelism.default"])
    assert settings["restart-strategy.type"] == "exponential-delay"
    assert settings["rest.bind-address"] == settings["taskmanager.bind-host"] == "127.0.0.1"


def test_the_pipelines_command_takes_the_clusters_options():
    cluster = Cluster(Path("/tmp/cluster"), rest_port=8081, job_port=8099)

    args = beam_options.beam_args("flink", cluster.beam_args, where="test", folders={"--data-root": "/data"})

    options = PipelineOptions(list(args)).view_as(PortableOptions)
    assert options.job_endpoint == "127.0.0.1:8099"
    assert options.environment_type == "PROCESS"
    assert options.lookup_environment_option("process_command") == "/tmp/cluster/worker"
