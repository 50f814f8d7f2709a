"""The tables of dataset.toml that no other room owns: one dataclass each."""

from dataclasses import dataclass
from typing import Literal

from models import label as label_expression
from pipeline.errors import ConfigError
from pipeline.ingest import spans as span_files


@dataclass(frozen=True, kw_only=True)
class SpansConfig:
    """`[spans]`: where a dataset's spans are.

    Attributes:
      format: how the files are written.
      pattern: path below the data root, with TFX's `{SPAN}` and `{VERSION}`.
      source: module whose `write_spans(data_root)` makes the shipped spans; None where a team brings its own.
      window: how many of the newest spans a model is trained on.
    """

    format: Literal["csv", "parquet", "avro", "tfrecord"] = "csv"
    pattern: str = "span-{SPAN}/data.csv"
    source: str | None = None
    window: int = 4

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window must be at least 1 span. Received: {self.window}.")
        try:
            span_files.check_pattern(self.pattern)
        except ConfigError as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """`[label]`: a column of 0 and 1, or an expression over columns such as `tips > 0.2 * fare`."""

    column: str | None = None
    expression: str | None = None

    def __post_init__(self) -> None:
        if (self.column is None) == (self.expression is None):
            raise ValueError("give either column or expression.")
        label_expression.label_columns(self.text)

    @property
    def text(self) -> str:
        """The label as an expression; a lone column is one too."""
        return self.expression or str(self.column)


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """`[serving]`: under which name the model is served, and how fast it must answer.

    Attributes:
      max_p99_ms: a candidate whose single-row requests take longer, at the 99th percentile and in milliseconds, is not
        pushed; 0 for no limit.
    """

    model_name: str
    max_p99_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.max_p99_ms < 0:
            raise ValueError(f"max_p99_ms must be at least 0. Received: {self.max_p99_ms}.")


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """`[beam]`: where the Beam engine runs; pipeline/config/beam_options.py completes it.

    Attributes:
      runner: None for Beam's runner in this process.
      args: Beam's own options, such as `--flink_master=host:8081`.
      artifacts: where artifacts are written if not below the root: storage that every worker reaches.
    """

    runner: Literal["flink", "spark", "dataflow"] | None = None
    args: tuple[str, ...] = ()
    artifacts: str | None = None


@dataclass(frozen=True, kw_only=True)
class MonitoringConfig:
    """`[monitoring]`: how served requests are looked at.

    Attributes:
      key: features that name a request, for labels that come later; empty for all features.
      window_hours: requests are compared by windows of this length, which begin at multiples of it since 1970 (UTC). A
        whole day holds every hour alike, as the training rows do.
      keep_days: how long requests are kept for labels that come later.
    """

    key: tuple[str, ...] = ()
    window_hours: float = 24.0
    keep_days: float = 90.0

    def __post_init__(self) -> None:
        for name, least in (("window_hours", 1 / 60), ("keep_days", 0.0)):
            value = getattr(self, name)
            if not least <= value < float("inf"):
                raise ValueError(f"{name} must be at least {least:.3g}. Received: {value!r}.")
        if self.window_hours > 24 * self.keep_days:
            raise ValueError("window_hours must not be longer than keep_days.")

    @property
    def window_seconds(self) -> int:
        """The length of a window."""
        return round(self.window_hours * 3600)


@dataclass(frozen=True, kw_only=True)
class VertexConfig:
    """`[vertex]`: what runs on Vertex's own services; only a pipeline compiled for Vertex reads it.

    Attributes:
      project, region: where; needed for everything below.
      machine_type: train as a custom job on such a machine; "" trains in the pipeline's own task.
      accelerator_type: the GPU of that machine, such as `NVIDIA_TESLA_T4`; "" for none.
      service_account: what the custom job runs as; "" for the project's default.
      endpoint: display name of the endpoint that pushed models are deployed to, made where there is none; "" for none.
      endpoint_machine_type: what serves there.
      serving_image: container that serves a SavedModel there.
    """

    project: str = ""
    region: str = ""
    machine_type: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 1
    service_account: str = ""
    endpoint: str = ""
    endpoint_machine_type: str = "n1-standard-2"
    serving_image: str = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"

    def __post_init__(self) -> None:
        if (self.machine_type or self.endpoint) and not (self.project and self.region):
            raise ValueError("machine_type and endpoint need project and region.")
        if self.accelerator_type and not self.machine_type:
            raise ValueError("accelerator_type needs machine_type.")
        if self.accelerator_count < 1:
            raise ValueError(f"accelerator_count must be at least 1. Received: {self.accelerator_count}.")
