"""What one pipeline run depends on: the dataset file, read and checked once, and where things are.

Nothing here imports TensorFlow, so a wrong file is refused in milliseconds.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from models.training_spec import TrainingSpec
from pipeline import REPOSITORY
from pipeline.config import toml_tables
from pipeline.config.sections import BeamConfig, LabelConfig, MonitoringConfig, ServingConfig, SpansConfig, VertexConfig
from pipeline.errors import ConfigError
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.gate.policy import GatePolicy

SHIPPED = REPOSITORY / "data"


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
    label = toml_tables.build(LabelConfig, parts["label"], f"{path} [label]")
    schema_path = path.parent / table["schema"] if "schema" in table else None
    features, never = _build_features(parts["features"], label.text, f"{path} [features]")
    dataset = Dataset(
        name=table["name"],
        path=path,
        schema_path=schema_path,
        spans=toml_tables.build(SpansConfig, parts["spans"], f"{path} [spans]"),
        label=label,
        features=features,
        never=never,
        training=toml_tables.build(TrainingSpec, parts["training"], f"{path} [training]"),
        evaluation=toml_tables.build(EvaluationSpec, parts["evaluation"], f"{path} [evaluation]"),
        gate=toml_tables.build(GatePolicy, parts["gate"], f"{path} [gate]"),
        serving=toml_tables.build(ServingConfig, parts["serving"], f"{path} [serving]"),
        beam=toml_tables.build(BeamConfig, parts["beam"], f"{path} [beam]"),
        monitoring=toml_tables.build(MonitoringConfig, parts["monitoring"], f"{path} [monitoring]"),
        vertex=toml_tables.build(VertexConfig, parts["vertex"], f"{path} [vertex]"),
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
    never = toml_tables.convert(table.get("never", []), tuple[str, ...], f"{where}: never")
    assert isinstance(never, tuple)
    groups = {key: value for key, value in table.items() if key != "never"}
    features = toml_tables.build(FeatureSpec, {**groups, "label": label}, where)
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
