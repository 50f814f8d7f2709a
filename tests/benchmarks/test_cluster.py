"""Fetching jars and telling the pipeline about a cluster, without starting one; `make prove-beam` starts them."""

from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from benchmarks.distributed import cluster, flink_cluster, spark_cluster
from pipeline.config import beam_options


@pytest.mark.parametrize("kind", [flink_cluster, spark_cluster])
def test_what_was_fetched_for_this_pom_is_not_fetched_again(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "pom.xml").write_bytes(kind.POM.read_bytes())
    (tmp_path / "one.jar").touch()

    assert cluster.fetch(kind.POM, tmp_path) == tmp_path
    assert (tmp_path / "one.jar").exists()


def test_without_maven_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(cluster.ClusterError, match="apt-get install maven"):
        cluster.fetch(flink_cluster.POM, tmp_path / "empty")


def test_beam_leaves_the_jars_where_they_are():
    # PipelineResources.isStageable, Beam 2.62.
    assert "gradle/wrapper" in str(flink_cluster.JARS)
    assert "gradle/wrapper" in str(spark_cluster.JARS)


def test_a_process_that_ends_at_once_is_named_with_its_log(tmp_path, monkeypatch):
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\necho "no class $*"\nexit 1\n')
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    processes = cluster.Processes(tmp_path)
    processes.java("broken", (), "jars", "no.such.Main")

    with pytest.raises(cluster.ClusterError) as caught:
        processes.wait_for("anything", lambda: False, timeout_s=30)

    processes.end()
    assert str(caught.value).startswith("The broken ended at once:\nno class ")
    assert str(caught.value).endswith(f"-cp jars no.such.Main\n\nThe log: {tmp_path / 'broken.log'}")


@pytest.mark.parametrize("runner", ["flink", "spark"])
def test_the_pipelines_command_takes_a_clusters_options(runner):
    given = cluster.beam_args(8099, Path("/tmp/cluster/worker"))

    args = beam_options.beam_args(runner, given, where="test", folders={"--data-root": "/data"})

    options = PipelineOptions(list(args)).view_as(PortableOptions)
    assert options.job_endpoint == "127.0.0.1:8099"
    assert options.environment_type == "PROCESS"
    assert options.lookup_environment_option("process_command") == "/tmp/cluster/worker"
