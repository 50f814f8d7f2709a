"""What one pipeline run depends on: the dataset file, read and checked once, and where things are.

Nothing here imports TensorFlow, so a wrong file is refused in milliseconds.
"""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorflow_metadata.proto.v0 import schema_pb2

from models import settings
from models.errors import LabelError, OwnCodeError
from models.features import FeatureSpec
from models.model_spec import ModelSpec
from models.own import source as own_source
from models.own.source import OwnCode
from models.training_spec import TrainingSpec
from pipeline import REPOSITORY
from pipeline.config import label_checks, toml_tables, wildcards
from pipeline.config.schema import read_schema
from pipeline.config.sections import (
    BeamConfig,
    DatasetConfig,
    LabelConfig,
    MonitoringConfig,
    NeverConfig,
    ServingConfig,
    SpansConfig,
    VertexConfig,
)
from pipeline.errors import ConfigError
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.gate.feature_columns import compared
from pipeline.gate.policy import GatePolicy
from pipeline.ingest.csv_format import CsvFormat
from pipeline.selection.tuning_spec import TuningSpec
from pipeline.sources.config import KINDS, Settings, Source, SourceConfig
from pipeline.state.retention import RetentionPolicy

SHIPPED = REPOSITORY / "data"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A checked dataset.toml.

    Attributes:
      path: the file itself; messages name it.
      schema_path: the curated schema; None where none exists yet and one is to be inferred.
      source: where spans come from; None where somebody else writes them.
      own: the code of `[model] module`; None where there is none.
    """

    name: str
    path: Path
    schema_path: Path | None
    spans: SpansConfig
    label: LabelConfig
    features: FeatureSpec
    never: tuple[str, ...]
    model: ModelSpec
    own: OwnCode | None
    training: TrainingSpec
    tuning: TuningSpec
    evaluation: EvaluationSpec
    gate: GatePolicy
    serving: ServingConfig
    beam: BeamConfig
    monitoring: MonitoringConfig
    retention: RetentionPolicy
    vertex: VertexConfig
    source: Source | None = None

    @property
    def ships(self) -> bool:
        """Whether it is one of the datasets that ship."""
        return self.path.resolve().is_relative_to(SHIPPED)

    @property
    def runs(self) -> Path:
        """Where its runs live unless somebody says otherwise: in its folder; of one that ships, in the working one."""
        return Path("runs") / self.name if self.ships else self.path.absolute().parent / "runs"

    @property
    def thresholds(self) -> str:
        """A hash of what a candidate is judged by; one that other thresholds refused is judged again."""
        values = {**dataclasses.asdict(self.evaluation), "max_p99_ms": self.serving.max_p99_ms}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


TABLES: dict[str, tuple[type, ...]] = {
    "": (DatasetConfig,),
    "spans": (SpansConfig,),
    "spans.csv": (CsvFormat,),
    "source": (SourceConfig, *KINDS.values()),
    "label": (LabelConfig,),
    "features": (FeatureSpec, NeverConfig),
    "model": (ModelSpec,),
    "training": (TrainingSpec,),
    "tuning": (TuningSpec,),
    "evaluation": (EvaluationSpec,),
    "gate": (GatePolicy,),
    "serving": (ServingConfig,),
    "beam": (BeamConfig,),
    "monitoring": (MonitoringConfig,),
    "retention": (RetentionPolicy,),
    "vertex": (VertexConfig,),
}
"""What declares the keys of each table; "" stands for the keys above all tables. docs/config.md prints them."""
PULLED_SPANS = {"format": "parquet", "pattern": "span-{SPAN}/v{VERSION}/data.parquet"}
"""`[spans]` of a dataset whose source is pulled, unless it says otherwise."""
REQUIRED_TABLES = ("label", "features", "serving")


def local_namesake(name: str) -> Path | None:
    """Returns the folder of this name here where the name means a dataset that ships; None where there is no such."""
    folder = Path(name)
    if shipped_file(name) is None:
        return None
    return folder if (folder / "dataset.toml").is_file() and not folder.resolve().is_relative_to(SHIPPED) else None


def shipped_file(name: str) -> Path | None:
    """Returns the dataset.toml that ships under a name; anything with a slash is a path, `./taxi` too."""
    return next((path for path in SHIPPED.glob("*/dataset.toml") if path.parent.name == name), None)


def find_dataset(name_or_path: str) -> Path:
    """Returns the dataset.toml meant by a shipped dataset's name, a folder or a file; a path is never a name.

    Raises:
      ConfigError: there is none; names what ships.
    """
    given = Path(name_or_path)
    for candidate in (given / "dataset.toml", given):
        try:
            if (shipped := shipped_file(name_or_path)) is not None:
                return shipped
            if candidate.is_file():
                return candidate
            if candidate.name == "dataset.toml" and candidate.exists():
                raise ConfigError(f"{candidate}: expected a file. Received: a folder.")
        except OSError as error:  # A name longer than any file's, or a folder that may not be entered.
            raise ConfigError(f"{settings.received(name_or_path)}: cannot be read: {error.strerror}.") from error
    names = ", ".join(sorted(path.parent.name for path in SHIPPED.glob("*/dataset.toml")))
    raise ConfigError(
        f"There is no dataset {name_or_path!r}. Shipped: {names}. Or give the path of a folder with a dataset.toml."
    )


def load_dataset(name_or_path: str) -> Dataset:
    """Reads and checks a dataset file, its columns against its schema included.

    Raises:
      ConfigError: the first mistake, with the file, the key and what is allowed.
    """
    path = find_dataset(name_or_path)
    table = _read_toml(path)
    where = {name: f"{path} [{name}]" for name in TABLES}
    head = {key: value for key, value in table.items() if key not in TABLES}
    config = toml_tables.build(
        DatasetConfig, head, str(path), also=[name for name in TABLES if name and "." not in name]
    )
    for required in REQUIRED_TABLES:
        if required not in table:
            raise ConfigError(f"{path}: the table [{required}] is missing.")
    parts = {name: _part(table, name) for name in TABLES}
    label = toml_tables.build(LabelConfig, parts["label"], where["label"])
    schema_path = path.parent / config.schema if config.schema else None
    schema = read_schema(schema_path) if schema_path else schema_pb2.Schema()
    try:
        target = label.target(label_checks.domain_of(label.column, schema))
    except (ValueError, LabelError) as error:
        raise ConfigError(f"{where['label']}: {error}") from error
    serving = toml_tables.build(ServingConfig, parts["serving"], where["serving"])
    try:
        target = dataclasses.replace(target, threshold=serving.threshold)
    except LabelError as error:
        raise ConfigError(f"{where['serving']}: {error}") from error
    source = _source(parts["source"], where["source"]) if "source" in table else None
    if isinstance(parts["features"], dict) and "label" in parts["features"]:
        raise ConfigError(f"{where['features']}: the label has a table of its own, [label].")
    features = wildcards.expand(parts["features"], where["features"], schema, target.columns)
    dataset = Dataset(
        name=config.name,
        path=path,
        schema_path=schema_path,
        spans=toml_tables.build(
            SpansConfig,
            _with_defaults(parts["spans"], source),
            where["spans"],
            given={"csv": toml_tables.build(CsvFormat, parts["spans.csv"], where["spans.csv"])},
            also=["csv"],
        ),
        source=source,
        label=label,
        features=toml_tables.build(
            FeatureSpec,
            features,
            where["features"],
            given=dataclasses.asdict(target),
            also=settings.hints(NeverConfig),
        ),
        never=toml_tables.build(NeverConfig, features, where["features"], also=settings.hints(FeatureSpec)).never,
        model=(model := toml_tables.build(ModelSpec, parts["model"], where["model"])),
        own=_own_code(model, path.parent, where["model"]),
        training=toml_tables.build(TrainingSpec, parts["training"], where["training"]),
        tuning=toml_tables.build(TuningSpec, parts["tuning"], where["tuning"]),
        evaluation=toml_tables.build(EvaluationSpec, parts["evaluation"], where["evaluation"]),
        gate=toml_tables.build(GatePolicy, parts["gate"], where["gate"]),
        serving=serving,
        beam=toml_tables.build(BeamConfig, parts["beam"], where["beam"]),
        monitoring=toml_tables.build(MonitoringConfig, parts["monitoring"], where["monitoring"]),
        retention=toml_tables.build(RetentionPolicy, parts["retention"], where["retention"]),
        vertex=toml_tables.build(VertexConfig, parts["vertex"], where["vertex"]),
    )
    if dataset.spans.format != "csv" and parts["spans.csv"]:
        raise ConfigError(
            f"{where['spans.csv']}: the format of [spans] is {dataset.spans.format}, so nothing reads it."
        )
    _check_history(dataset)
    _check_source(dataset)
    _check_features(dataset)
    _check_model(dataset)
    try:
        dataset.evaluation.check_metrics(target.task)
    except ValueError as error:
        raise ConfigError(f"{where['evaluation']}: {error}") from error
    if "tuning" in table:
        try:
            dataset.tuning.choices(dataset.training, dataset.model, dataset.own)
        except ValueError as error:
            raise ConfigError(f"{where['tuning']}: {error}") from error
    if dataset.schema_path is not None:
        _check_columns(dataset, schema)
    return dataset


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply.") from error
    except ValueError as error:  # TOML's own error, bytes that are not UTF-8, an integer of thousands of digits.
        raise ConfigError(f"{path}: not valid TOML: {str(error).rstrip('.')}.") from error


def _part(table: Mapping[str, object], name: str) -> object:
    """Returns one table of the file, by its dotted name; an empty one where it is not there."""
    head, _, rest = name.partition(".")
    part = table.get(head, {})
    return _part(part, rest) if rest and isinstance(part, Mapping) else part


def _source(table: object, where: str) -> Source:
    """Reads `[source]`: what every source says, and what its kind says besides."""
    every = {name for kind in KINDS.values() for name in settings.hints(kind)}
    config = toml_tables.build(SourceConfig, table, where, also=every)
    kind: Settings = toml_tables.build(KINDS[config.kind], table, where, also=settings.hints(SourceConfig))
    return Source(config=config, settings=kind, where=where)


def _own_code(model: ModelSpec, folder: Path, where: str) -> OwnCode | None:
    """Reads the module that `[model]` names; None where it names none."""
    if not model.module:
        return None
    try:
        own = own_source.read(folder, model.module)
    except OwnCodeError as error:
        raise ConfigError(f"{where}: module: {error}") from error
    trains = sorted(own.functions & {own_source.BUILD_MODEL, own_source.RUN})
    if trains and (model.learner != ModelSpec.learner or model.learners):
        raise ConfigError(
            f"{where}: {model.module} trains by its own {trains[0]}, in the place of the network. Remove learner and "
            "learners, or the function."
        )
    return own


def _with_defaults(table: object, source: Source | None) -> object:
    """Returns `[spans]` with what a source that is pulled writes, where the table does not say so itself."""
    if source is None or not source.pulls or not isinstance(table, dict):
        return table
    every = {"every": source.config.every} if source.config.every is not None else {}
    return {**PULLED_SPANS, **every, **table}


def _check_history(dataset: Dataset) -> None:
    """Refuses to forget spans that a training window may still reach."""
    window, history = dataset.spans.window, dataset.retention.history
    if history < window:
        raise ConfigError(
            f"{dataset.path} [retention]: history must be at least [spans] window: records say which of its spans were "
            f"blocked. Received: {history} and {window}."
        )


def _check_source(dataset: Dataset) -> None:
    """Refuses spans that a source could not write."""
    source, spans = dataset.source, dataset.spans
    where = f"{dataset.path} [spans]"
    if source is None:
        return
    if spans.marker:
        raise ConfigError(f"{where}: marker: [source] writes spans whole and leaves no marker. Remove the key.")
    if not source.pulls:
        if spans.data is not None:
            raise ConfigError(f"{where}: data: the module of [source] writes the spans below the root. Remove one.")
        return
    if spans.format != "parquet":
        raise ConfigError(f"{where}: format: [source] writes parquet. Received: {spans.format!r}. Remove the key.")
    if "{VERSION" not in spans.pattern or set(spans.pattern) & set("*?"):
        raise ConfigError(
            f"{where}: pattern: [source] writes one file for each version of a span, so {{VERSION}} must be in it, and "
            f"no wildcard. Received: {spans.pattern!r}. Example: {PULLED_SPANS['pattern']!r}."
        )


def _check_model(dataset: Dataset) -> None:
    """Refuses constraints that no learner of the dataset keeps."""
    model, where = dataset.model, f"{dataset.path} [model]"
    if not model.monotonic:
        return
    if model.trained != ("trees",):
        named = ", ".join(model.trained)
        raise ConfigError(f"{where}: monotonic: only the learner trees keeps it. Received: {named}.")
    if dataset.features.task == "regression" and dataset.training.loss == "absolute":
        raise ConfigError(
            f"{where}: monotonic: trees of the loss absolute cannot keep it. Set [training] loss to squared or huber."
        )
    numbers = [one.name for one in dataset.features.encoded if one.kind.group in ("numeric", "bucketized")]
    if dataset.features.task == "multiclass":
        raise ConfigError(f"{where}: monotonic: of several classes none can only rise. Remove the table.")
    _check_names(f"{where}: monotonic", list(model.monotonic), numbers, "is no number among the features. Numbers")


def _check_features(dataset: Dataset) -> None:
    """Refuses columns in roles that exclude each other, and settings of columns that are no features."""
    features, names = dataset.features, dataset.features.names
    where = f"{dataset.path} [features]"
    for column in dataset.never:
        if column in names:
            raise ConfigError(f"{where}: {column!r} is listed in `never` and cannot be a feature.")
    # An expression may share inputs such as `fare` with the features, but not all of them.
    if features.target.label_columns <= set(names):
        raise ConfigError(
            f"{where}: every column of the label `{dataset.label.text}` is a feature, so the model "
            "would be told the answer. Remove the one that is known only afterwards."
        )
    each = sorted({*names, *(one.name for one in compared(features))})
    for key, columns, allowed in (
        ("monitoring]: key", dataset.monitoring.key, names),
        ("gate]: exclude", dataset.gate.exclude, each),
    ):
        _check_names(f"{dataset.path} [{key}", columns, allowed, "is not a feature. Features")


def _check_columns(dataset: Dataset, schema: schema_pb2.Schema) -> None:
    types = {feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in schema.feature}
    for key, columns in (
        ("features]", dataset.features.names),
        ("features]: never", dataset.never),
        ("spans.csv]: dates", list(dataset.spans.csv.dates)),
        ("label]", sorted(dataset.features.target.label_columns)),
        ("label]: weight", sorted(dataset.features.target.weight_columns)),
        ("evaluation]: slices", dataset.evaluation.slice_columns),
        ("gate]: severity", list(dataset.gate.severity)),
        ("gate]: cluster", [dataset.gate.cluster] if dataset.gate.cluster else []),
        ("gate]: tolerance", list(dataset.gate.tolerance)),
    ):
        missing = f"is no column of the schema {dataset.schema_path}. It has"
        _check_names(f"{dataset.path} [{key}", columns, list(types), missing)
    for column in dataset.features.inputs:
        if types[column.name] not in column.types:
            raise ConfigError(
                f"{dataset.path} [features]: {column.used}: expected columns of type {' or '.join(column.types)}. "
                f"Received: {column.name!r}, which is {types[column.name]} in {dataset.schema_path}."
            )
    for name in dataset.features.derived:
        if name in types:
            raise ConfigError(
                f"{dataset.path} [features]: derived.{name}: the schema {dataset.schema_path} has a column of this "
                "name. Give the derived column another one."
            )
    label_checks.check(dataset.label, dataset.features.target, schema, f"{dataset.path} [label]", dataset.schema_path)


def _check_names(where: str, columns: Sequence[str], allowed: Sequence[str], problem: str) -> None:
    for column in columns:
        if column not in allowed:
            raise ConfigError(f"{where}: {column!r} {problem}: {', '.join(allowed)}.")
