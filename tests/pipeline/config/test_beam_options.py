"""What Beam's own parser makes of our options, and what is refused before anything starts."""

import pytest
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    SparkRunnerOptions,
    StandardOptions,
    WorkerOptions,
)

from pipeline.config import beam_options
from pipeline.errors import ConfigError

SHARED = {"--data-root": "/mnt/spans", "[beam] artifacts": "/mnt/artifacts"}
CLOUD = {"--data-root": "gs://bucket/spans", "[beam] artifacts": "gs://bucket/artifacts"}
DATAFLOW = ("--project=my-project", "--region=europe-west4", "--temp_location=gs://bucket/tmp")
PROCESS = ("--environment_type=PROCESS", "--environment_option=process_command=/opt/bin/driftgate-beam-worker")


def parse(runner, *given, folders=SHARED):
    return PipelineOptions(list(beam_options.beam_args(runner, given, where="dataset.toml [beam]", folders=folders)))


def test_without_a_runner_beam_stays_in_this_process():
    options = parse(None)

    assert options.view_as(StandardOptions).runner == "FnApiRunner"
    assert options.view_as(SetupOptions).setup_file is None


def test_flink():
    options = parse("flink", "--flink_master=http://jobs:8081", "--flink_version=1.20", "--parallelism=4", *PROCESS)

    assert options.view_as(StandardOptions).runner == "FlinkRunner"
    assert options.view_as(FlinkRunnerOptions).flink_master == "http://jobs:8081"
    assert options.view_as(FlinkRunnerOptions).parallelism == 4
    assert options.view_as(PortableOptions).environment_type == "PROCESS"
    assert options.view_as(PortableOptions).lookup_environment_option("process_command") == (
        "/opt/bin/driftgate-beam-worker"
    )
    assert int(options.view_as(PortableOptions).environment_cache_millis) == 60_000
    assert options.view_as(SetupOptions).setup_file.endswith("/setup.py")


def test_spark_by_the_address_of_its_job_server():
    options = parse("spark", "--job_endpoint=jobs:8099", "--environment_cache_millis=5000")

    assert options.view_as(StandardOptions).runner == "SparkRunner"
    assert options.view_as(PortableOptions).job_endpoint == "jobs:8099"
    assert int(options.view_as(PortableOptions).environment_cache_millis) == 5000
    assert options.view_as(SparkRunnerOptions).spark_version == "3"


def test_dataflow():
    options = parse("dataflow", *DATAFLOW, folders=CLOUD)

    assert options.view_as(StandardOptions).runner == "DataflowRunner"
    cloud = options.view_as(GoogleCloudOptions)
    assert (cloud.project, cloud.region, cloud.temp_location) == ("my-project", "europe-west4", "gs://bucket/tmp")
    assert cloud.staging_location == "gs://bucket/tmp/staging"
    assert options.view_as(SetupOptions).setup_file.endswith("/setup.py")


def test_an_image_takes_the_place_of_the_package():
    options = parse("flink", "--job_endpoint=jobs:8099", "--sdk_container_image=registry/driftgate:1")

    assert options.view_as(SetupOptions).setup_file is None


def test_tasks_that_run_in_an_image_give_it_to_their_workers():
    args = beam_options.beam_args("dataflow", DATAFLOW, where="x", folders=CLOUD, image="registry/driftgate:1")

    options = PipelineOptions(list(args))
    assert options.view_as(WorkerOptions).sdk_container_image == "registry/driftgate:1"
    assert options.view_as(SetupOptions).setup_file is None


def test_the_workers_package_is_this_one():
    assert 'name="driftgate"' in beam_options.SETUP_FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("runner", "given", "folders", "message"),
    [
        ("flink", (), SHARED, "--runner flink needs an address: job_endpoint or flink_master. Give it in [beam] args"),
        ("spark", (), SHARED, "--runner spark needs an address: job_endpoint or spark_master_url or spark_rest_url."),
        ("flink", ("--runner=SparkRunner",), SHARED, "the runner is named by --runner or [beam] runner"),
        ("flink", ("--job_endpoint=a:1", "--environment_type=EXTERNAL"), SHARED, "service_address is required"),
        (
            "flink",
            ("--job_endpoint=a:1", "--flink_version=1.2"),
            SHARED,
            "argument --flink_version: invalid choice: '1.2'",
        ),
        ("dataflow", (), CLOUD, "--runner dataflow needs project, region, temp_location. Give it in [beam] args"),
        ("dataflow", (*DATAFLOW[:1], DATAFLOW[2]), CLOUD, "--runner dataflow needs region."),
        ("dataflow", ("--project=X", *DATAFLOW[1:]), CLOUD, "Invalid Project ID (X)"),
        ("dataflow", (*DATAFLOW, "--projet=x"), CLOUD, "Beam does not know --projet."),
        ("dataflow", (*DATAFLOW[:2], "--temp_location=/tmp"), CLOUD, "cannot reach /tmp. Expected a folder on Cloud"),
        ("dataflow", DATAFLOW, SHARED, "Dataflow's workers cannot reach /mnt/spans. Expected a folder on Cloud"),
        (None, ("--projet=x",), SHARED, "Beam does not know --projet."),
    ],
)
def test_what_is_missing_or_wrong_is_named(runner, given, folders, message):
    with pytest.raises(ConfigError) as caught:
        beam_options.beam_args(runner, given, where="dataset.toml [beam]", folders=folders)

    assert str(caught.value).startswith("dataset.toml [beam]: ")
    assert message in str(caught.value)


def test_an_installed_copy_without_setup_py_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.setattr(beam_options, "SETUP_FILE", tmp_path / "setup.py")

    with pytest.raises(ConfigError, match="Give --sdk_container_image with this package in it, or --setup_file"):
        beam_options.beam_args("flink", ("--job_endpoint=a:1",), where="x", folders=SHARED)
