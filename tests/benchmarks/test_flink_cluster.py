"""What the cluster is made of, without starting it; `make prove-beam` starts it."""

from pathlib import Path

from apache_beam.options.pipeline_options import FlinkRunnerOptions

from benchmarks.distributed import cluster, flink_cluster


def test_the_runner_is_of_a_flink_version_that_beam_still_names():
    found = cluster.coordinates(flink_cluster.POM)

    assert ("org.apache.beam", "beam-runners-flink-1.19", "2.62.0") in found
    (runner,) = (artifact for _, artifact, _ in found if artifact.startswith("beam-runners-flink-"))
    assert runner.removeprefix("beam-runners-flink-") in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS


def test_a_lost_task_managers_work_fits_on_the_other():
    settings = flink_cluster.configuration(8081, 6123, Path("/tmp/cluster"))

    assert int(settings["taskmanager.numberOfTaskSlots"]) >= int(settings["parallelism.default"])
    assert settings["restart-strategy.type"] == "exponential-delay"
    assert settings["rest.bind-address"] == settings["taskmanager.bind-host"] == "127.0.0.1"
