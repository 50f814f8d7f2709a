"""Where a compiled pipeline reads and writes: local folders for rehearsals, buckets for clusters."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.dataset import Dataset
from pipeline.errors import ConfigError
from pipeline.sources.module import write_spans

_REMOTE = re.compile(r"(gs|s3|hdfs)://[^/]+")


@dataclass(frozen=True, kw_only=True)
class Locations:
    """Plain paths, or URIs that TFX's file systems open.

    Attributes:
      root: where artifacts go.
      data_root: where the spans are.
      serving_dir: the model server's base path.
      state_dir: where the gate keeps its records.
    """

    root: str
    data_root: str
    serving_dir: str
    state_dir: str


def normalize(uri: str, option: str) -> str:
    """Returns a plain absolute path for `file:///path` and paths, and a remote URI as it is, without a final slash.

    Raises:
      ConfigError: another scheme.
    """
    if uri.startswith("file://"):
        path = uri.removeprefix("file://")
        if not path.startswith("/"):
            raise ConfigError(f"{option}: expected file:///absolute/path. Received: {uri!r}.")
        return str(Path(path))
    if "://" not in uri:
        return str(Path(uri).absolute())
    if not _REMOTE.match(uri):
        raise ConfigError(f"{option}: expected gs://BUCKET/PATH, s3://, hdfs:// or file:///PATH. Received: {uri!r}.")
    return uri.rstrip("/")


def is_remote(uri: str) -> bool:
    """Returns whether a cluster can reach it."""
    return "://" in uri


def locate(
    dataset: Dataset,
    *,
    pipeline_root: str | None,
    data_root: str | None,
    serving_dir: str | None,
    state_dir: str | None,
) -> Locations:
    """Returns all locations; what is not given lies below the pipeline root, and that beside the dataset's local runs.

    The spans of a dataset that ships some are written below a local root, as `local_runner.py` does.

    Raises:
      ConfigError: a scheme that nothing here can open, or no spans are named.
    """
    root = normalize(pipeline_root or str(dataset.runs.with_name(f"{dataset.runs.name}-kubeflow")), "--pipeline-root")
    if data_root is not None:
        data = normalize(data_root, "--data-root")
    elif dataset.source is not None and dataset.source.pulls:
        raise ConfigError(
            f"{dataset.source.where}: a compiled pipeline cannot pull. TFX's own query-based ExampleGens read BigQuery "
            "and Presto one span at a time and leave no files, and the training window reads the files of earlier "
            "spans. Pull into a bucket that the tasks reach, and compile with --data-root URL."
        )
    elif is_remote(root):
        data = f"{root}/data"
    elif dataset.source is None:
        raise ConfigError(f"{dataset.path} has no [source], so the spans must be given: --data-root DIR.")
    else:
        data = f"{root}/data"
        write_spans(dataset.source, Path(data))
    return Locations(
        root=root,
        data_root=data,
        serving_dir=normalize(serving_dir or f"{root}/serving/{dataset.serving.model_name}", "--serving-dir"),
        state_dir=normalize(state_dir or f"{root}/state", "--state-dir"),
    )
