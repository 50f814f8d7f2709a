"""What one pipeline run depends on: the dataset file, read and checked once, and where things are.

Nothing here imports TensorFlow, so a wrong file is refused in milliseconds.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models import label as label_expression
from models.features import FeatureSpec
from models.training_spec import TrainingSpec
from pipeline import spans as span_files
from pipeline import tables
from pipeline.errors import ConfigError
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.gate.policy import GatePolicy

# A compiled pipeline's run-time parameter, and what PipelineConfig.span is in one.
SPAN_PARAMETER: Final = "span"

SHIPPED = Path(__file__).resolve().parent.parent / "data"


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
    """`[beam]`: where the Beam engine runs; pipeline/beam_options.py completes it.

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


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A checked dataset.toml.

    Attributes:
      path: the file itself; messages name it.
      schema_path: the curated schema; None where none exists yet and one is to be inferred.
    """

    name: str
    path: Path
    schema_path: Path | None
    spans: SpansConfig
    label: LabelConfig
    features: FeatureSpec
    never: tuple[str, ...]
    training: TrainingSpec
    evaluation: EvaluationSpec
    gate: GatePolicy
    serving: ServingConfig
    beam: BeamConfig
    monitoring: MonitoringConfig
    vertex: VertexConfig


_TABLES = ("spans", "label", "features", "training", "evaluation", "gate", "serving", "beam", "monitoring", "vertex")
_REQUIRED_TABLES = ("label", "features", "serving")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def find_dataset(name_or_path: str) -> Path:
    """Returns the dataset.toml meant by a shipped dataset's name, a folder or a file.

    Raises:
      ConfigError: there is none; names what ships.
    """
    given = Path(name_or_path)
    candidates = (SHIPPED / name_or_path / "dataset.toml", given / "dataset.toml", given)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob("*/dataset.toml")))
    raise ConfigError(
        f"There is no dataset {name_or_path!r}. Shipped: {shipped}. Or give the path of a folder with a dataset.toml."
    )


def load_dataset(name_or_path: str) -> Dataset:
    """Reads and checks a dataset file, its columns against its schema included.

    Raises:
      ConfigError: the first mistake, with the file, the key and what is allowed.
    """
    path = find_dataset(name_or_path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from error
    _check_top_level(table, path)
    parts = {name: table.get(name, {}) for name in _TABLES}
    label = tables.build(LabelConfig, parts["label"], f"{path} [label]")
    schema_path = path.parent / table["schema"] if "schema" in table else None
    features, never = _build_features(parts["features"], label.text, f"{path} [features]")
    dataset = Dataset(
        name=table["name"],
        path=path,
        schema_path=schema_path,
        spans=tables.build(SpansConfig, parts["spans"], f"{path} [spans]"),
        label=label,
        features=features,
        never=never,
        training=tables.build(TrainingSpec, parts["training"], f"{path} [training]"),
        evaluation=tables.build(EvaluationSpec, parts["evaluation"], f"{path} [evaluation]"),
        gate=tables.build(GatePolicy, parts["gate"], f"{path} [gate]"),
        serving=tables.build(ServingConfig, parts["serving"], f"{path} [serving]"),
        beam=tables.build(BeamConfig, parts["beam"], f"{path} [beam]"),
        monitoring=tables.build(MonitoringConfig, parts["monitoring"], f"{path} [monitoring]"),
        vertex=tables.build(VertexConfig, parts["vertex"], f"{path} [vertex]"),
    )
    for column in dataset.monitoring.key:
        if column not in features.names:
            raise ConfigError(
                f"{path} [monitoring]: key: {column!r} is not a feature, so no request holds it. "
                f"Features: {', '.join(features.names)}."
            )
    _check_label_is_no_feature(dataset)
    if schema_path is not None:
        _check_columns(dataset, read_schema(schema_path))
    return dataset


def read_schema(path: Path) -> schema_pb2.Schema:
    """Reads a schema in text form.

    Raises:
      ConfigError: the file is missing or no schema; names the line.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: the schema is missing. Remove the key `schema` to have one inferred.") from error
    except text_format.ParseError as error:
        raise ConfigError(f"{path}: not a TensorFlow Metadata schema: {error}.") from error


def _check_top_level(table: Mapping[str, object], path: Path) -> None:
    allowed = ("name", "schema", *_TABLES)
    unknown = sorted(set(table) - set(allowed))
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}. Allowed: {', '.join(allowed)}.")
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{path}: name must be lower-case letters, digits and dashes. Received: {name!r}.")
    if not isinstance(table.get("schema", ""), str):
        raise ConfigError(f"{path}: schema: expected a string. Received: {table['schema']!r}.")
    for required in _REQUIRED_TABLES:
        if required not in table:
            raise ConfigError(f"{path}: the table [{required}] is missing.")


def _build_features(table: object, label: str, where: str) -> tuple[FeatureSpec, tuple[str, ...]]:
    """Returns the features and the columns that may never be one, which is what `never` is for."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: expected a table. Received: {table!r}.")
    if "label" in table:
        raise ConfigError(f"{where}: the label has a table of its own, [label].")
    never = tables.convert(table.get("never", []), tuple[str, ...], f"{where}: never")
    assert isinstance(never, tuple)
    groups = {key: value for key, value in table.items() if key != "never"}
    features = tables.build(FeatureSpec, {**groups, "label": label}, where)
    for column in never:
        if column in features.names:
            raise ConfigError(f"{where}: {column!r} is listed in `never` and cannot be a feature.")
    return features, never


def _check_label_is_no_feature(dataset: Dataset) -> None:
    """Refuses a lone label column as a feature; an expression may share inputs such as `fare` with the features."""
    if dataset.label.column in dataset.features.names:
        raise ConfigError(f"{dataset.path} [features]: the label {dataset.label.column!r} cannot be a feature.")
    if set(dataset.features.label_columns) <= set(dataset.features.names):
        raise ConfigError(
            f"{dataset.path} [features]: every column of the label `{dataset.label.text}` is a feature, so the model "
            "would be told the answer. Remove the one that is known only afterwards."
        )


def _check_columns(dataset: Dataset, schema: schema_pb2.Schema) -> None:
    known = [feature.name for feature in schema.feature]
    for table, columns in (
        ("features", (*dataset.features.names, *dataset.never)),
        ("label", sorted(dataset.features.label_columns)),
        ("evaluation", [column for crossed in dataset.evaluation.slices for column in crossed]),
    ):
        for column in columns:
            if column not in known:
                raise ConfigError(
                    f"{dataset.path} [{table}]: the schema {dataset.schema_path} has no column {column!r}. "
                    f"It has: {', '.join(known)}."
                )


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """Everything that `create_pipeline` reads.

    Attributes:
      dataset: what the data is and what is wanted of it.
      data_root: folder (or gs:// prefix) of the spans.
      span: the span to process; None leaves the newest to TFX's driver, at run time, and SPAN_PARAMETER the choice to
        a parameter that whoever runs the compiled pipeline gives.
      pipeline_root: where artifacts are written.
      serving_dir: the model server's base path; each version is a numbered folder in it.
      state_dir: where the gate keeps one record per span; found by this parameter on every orchestrator.
      metadata_path: ML Metadata's SQLite file; None where the orchestrator keeps the metadata.
      live_version: the newest pushed version the caller sees; part of cache keys. Empty: none, or find it at run time.
      state_token: a hash of the state the caller sees, part of the gate's cache key; see pipeline/state.py.
      evaluated_at: the time of the decision, seconds since 1970; the model's age is counted to it.
      forced: rerun even where nothing asks for it.
      explain: end the pipeline after the decision, which leaves no record: it is only wanted for a look.
      decide: end the pipeline after the decision, which is recorded; a run without it carries on from there.
      engine: local moves whole Arrow batches in one process; beam runs the stock executors.
      beam_args: Beam's options for the beam engine.
      vertex: the dataset's `[vertex]` in a pipeline compiled for Vertex; None anywhere else.
      image: the container image of a compiled pipeline.
    """

    dataset: Dataset
    data_root: str
    span: int | Literal["span"] | None
    pipeline_root: str
    serving_dir: str
    state_dir: str
    metadata_path: str | None = None
    live_version: str = ""
    state_token: str = ""
    evaluated_at: int = 0
    forced: bool = False
    explain: bool = False
    decide: bool = False
    engine: Literal["local", "beam"] = "local"
    beam_args: tuple[str, ...] = ()
    vertex: VertexConfig | None = None
    image: str = ""

    @property
    def code_version(self) -> str:
        """A hash of `models/`: TFX caches a function by its name, so an edited one would silently not be run."""
        digest = hashlib.sha256()
        for path in sorted(Path(label_expression.__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def schema_text(self) -> str:
        """Returns the curated schema's text."""
        assert self.dataset.schema_path is not None, "the pipeline of a dataset without a schema ends at SchemaGen"
        return self.dataset.schema_path.read_text(encoding="utf-8")

    def gate_settings(self) -> str:
        """Returns, as JSON, what the gate's component needs of the dataset file."""
        return json.dumps(
            {
                "features": json.loads(self.dataset.features.to_json()),
                "policy": self.dataset.gate.to_dict(),
                "evaluation": json.loads(self.dataset.evaluation.to_json()),
            },
            sort_keys=True,
        )
