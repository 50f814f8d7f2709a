"""The `beam_pipeline_args` of each runner, checked by Beam's own parser before anything starts.

What is added to what the user gives, and why:

| argument                     | runner       | without it                                                            |
|------------------------------|--------------|-----------------------------------------------------------------------|
| --runner                     | all          | Beam's default downloads a binary                                     |
| --setup_file                 | all but none | TFX packs itself up for the workers, but not this package             |
| --sdk_container_image        | all but none | as --setup_file, for a compiled pipeline: its tasks' image            |
| --staging_location           | dataflow     | Beam makes a bucket in the project                                    |
| --environment_cache_millis   | flink, spark | workers end with each stage, and every stage imports TensorFlow anew  |
"""

import argparse
import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pipeline import REPOSITORY
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset

Runner = Literal["flink", "spark", "dataflow"]
CLASS_NAMES: dict[Runner, str] = {"flink": "FlinkRunner", "spark": "SparkRunner", "dataflow": "DataflowRunner"}
IN_PROCESS = "--runner=FnApiRunner"
SETUP_FILE = REPOSITORY / "setup.py"
# A worker outlives a stage by this much, and the job as well.
ENVIRONMENT_CACHE_MS = 60_000

# What an address of each runner may be called; Beam's defaults would start an engine inside this process.
_ADDRESSES: dict[Runner, tuple[str, ...]] = {
    "flink": ("job_endpoint", "flink_master"),
    "spark": ("job_endpoint", "spark_master_url", "spark_rest_url"),
}
# Any one of these tells TFX and Beam where the workers' packages come from.
_PACKAGES = ("setup_file", "requirements_file", "extra_packages", "sdk_container_image")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose an engine."""
    parser.add_argument("--engine", choices=("local", "beam"), default="local", help="whole Arrow batches, or Beam")
    parser.add_argument(
        "--runner",
        choices=tuple(CLASS_NAMES),
        help="where --engine beam runs (default: [beam] runner of the dataset file, or the process of each component)",
    )
    parser.add_argument(
        "--beam-arg",
        action="append",
        default=[],
        metavar="ARG",
        help="an option of Beam's, such as --beam-arg=--flink_master=host:8081; after those of [beam] args",
    )


def of_arguments(
    args: argparse.Namespace, dataset: "Dataset", folders: Mapping[str, str], *, image: str | None = None
) -> tuple[str, ...]:
    """Returns the Beam job's options that a command line and the dataset's `[beam]` ask for; none for the local engine.

    Args:
      args: as `add_arguments` made them.
      folders, image: as for `beam_args`.

    Raises:
      ConfigError: options of Beam's without its engine, or what `beam_args` refuses.
    """
    if args.engine != "beam":
        if args.runner or args.beam_arg:
            raise ConfigError("--runner and --beam-arg need --engine beam.")
        return ()
    given = (*dataset.beam.args, *args.beam_arg)
    where = f"{dataset.path} [beam], --beam-arg"
    return beam_args(args.runner or dataset.beam.runner, given, where=where, folders=folders, image=image)


def beam_args(
    runner: Runner | None, given: Sequence[str], *, where: str, folders: Mapping[str, str], image: str | None = None
) -> tuple[str, ...]:
    """Returns the complete options of a Beam job.

    Args:
      runner: None for Beam's runner in this process.
      given: the user's options, as Beam's command line takes them; these win.
      where: how messages name the place they come from.
      folders: the spans and the artifacts, which the workers read and write, by the option that names each.
      image: what the job starts from and its workers run in; None where it starts from this checkout.

    Raises:
      ConfigError: an option is missing, wrong or unknown; says which and what to add.
    """
    flags = _names(given)
    if "runner" in flags:
        raise ConfigError(f"{where}: the runner is named by --runner or [beam] runner, not among Beam's options.")
    args = (f"--runner={CLASS_NAMES[runner]}" if runner else IN_PROCESS, *given)
    if runner == "dataflow":
        args += _dataflow(given, folders, where)
    if runner in _ADDRESSES and not flags & set(_ADDRESSES[runner]):
        raise ConfigError(f"{where}: --runner {runner} needs an address: {' or '.join(_ADDRESSES[runner])}. {_HINT}")
    if runner and not flags & {*_PACKAGES, "extra_package"} and image is not None:
        args += (f"--sdk_container_image={image}",)
    elif runner and not flags & {*_PACKAGES, "extra_package"}:
        if not SETUP_FILE.exists():
            raise ConfigError(
                f"{where}: the workers' package is made from {SETUP_FILE}, which is not there, as in an installed "
                "copy. Give --sdk_container_image with this package in it, or --setup_file."
            )
        args += (f"--setup_file={SETUP_FILE}",)
    if runner in ("flink", "spark") and "environment_cache_millis" not in flags:
        args += (f"--environment_cache_millis={ENVIRONMENT_CACHE_MS}",)
    _check(runner, args, where)
    return args


_HINT = "Give it in [beam] args or as --beam-arg=--NAME=VALUE."


def _dataflow(given: Sequence[str], folders: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Checks what Beam would look up in the cloud where it is missing, and make there: a bucket, a region."""
    values = {name: value for name, _, value in (arg[2:].partition("=") for arg in given if arg.startswith("--"))}
    missing = [name for name in ("project", "region", "temp_location") if not values.get(name)]
    if missing:
        raise ConfigError(f"{where}: --runner dataflow needs {', '.join(missing)}. {_HINT}")
    temporary = values["temp_location"]
    for what, folder in (("temp_location", temporary), *folders.items()):
        if not folder.startswith("gs://"):
            raise ConfigError(
                f"{where}: Dataflow's workers cannot reach {folder}. Expected a folder on Cloud Storage for {what}: "
                "gs://BUCKET/FOLDER."
            )
    return () if "staging_location" in values else (f"--staging_location={temporary.rstrip('/')}/staging",)


def _names(args: Sequence[str]) -> set[str]:
    return {arg[2:].partition("=")[0] for arg in args if arg.startswith("--")}


def _check(runner: Runner | None, args: Sequence[str], where: str) -> None:
    """Asks Beam's own parser and validator."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
    from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
    from apache_beam.runners import create_runner

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(args))
            known = options.get_all_options()
            unknown = set(options.get_all_options(retain_unknown_options=True)) - set(known)
    except SystemExit as error:  # argparse's way to refuse a value, after a screen of usage.
        raise ConfigError(f"{where}: {said.getvalue().strip().splitlines()[-1].partition('error: ')[2]}.") from error
    # The job servers of Flink and Spark know options that Beam's Python part does not.
    if unknown and runner not in ("flink", "spark"):
        raise ConfigError(f"{where}: Beam does not know --{sorted(unknown)[0]}.")
    validator = PipelineOptionsValidator(options, create_runner(known["runner"]))
    # The whole validation of Dataflow's options asks Cloud Storage about the buckets; without a network, for minutes.
    cloud = runner == "dataflow"
    errors = validator.validate_cloud_options(options.view_as(GoogleCloudOptions)) if cloud else validator.validate()
    if errors:
        raise ConfigError(f"{where}: --runner {runner or 'none'}: {'; '.join(errors).rstrip('.')}. {_HINT}")
