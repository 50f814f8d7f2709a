"""The tables of dataset.toml that no other room owns: one dataclass each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from models import label_grammar, settings
from models.settings import Column, Form, Range
from models.target import Target, TaskName, TransformName
from models.tensor_names import check_column_name
from pipeline.errors import ConfigError
from pipeline.ingest import spans as span_files
from pipeline.ingest.csv_format import PLAIN, CsvFormat
from pipeline.ingest.reader import Format
from pipeline.sources.periods import Every

# Folders, artifacts and log files carry these names, so they are far shorter than a file system's limit.
_DatasetName = Annotated[str, Form(r"[a-z0-9][a-z0-9-]{0,62}", "1 to 63 lower-case letters, digits and dashes")]
_ModelName = Annotated[
    str, Form(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "1 to 63 letters, digits, dashes, dots and underscores, as in a URL")
]
_Path = Annotated[str, Form(r"[^\x00]+", "a path")]
_FileName = Annotated[str, Form(r"[^\x00/*?\[\]]*", "a file's name, without wildcards")]
_Positive = Annotated[str, Form(r"[^\x00]+", "a text")]
_PositiveNumber = Annotated[int, Form(r"-?[0-9]{1,15}", "a whole number")]
_Text = Annotated[str, Form(r"[^\x00]+", "a text that is not empty")]
_Project = Annotated[str, Form(r"([a-z][a-z0-9.:-]*)?", "a project's id")]
_CloudName = Annotated[str, Form(r"([A-Za-z][A-Za-z0-9_-]*)?", "letters, digits, dashes and underscores")]
_Account = Annotated[str, Form(r"([^@\s]+@[^@\s]+)?", "an account such as trainer@my-project.iam.gserviceaccount.com")]
_DisplayName = Annotated[str, Form(r"[^\x00-\x1f]{0,128}", "a name of at most 128 characters")]
_Probability = Annotated[float, Range(0, 1, "probability", excluded="both")]
_Cost = Annotated[float, Range(0, 1_000_000_000, "cost", excluded="least")]
_Image = Annotated[str, Form(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*", "a container image")]


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """The keys above all tables.

    Attributes:
      name: of the dataset: its runs, its cloud pipelines and its metrics carry it.
      schema: file of the curated schema, below the dataset's folder; without it one is inferred and shown.
    """

    name: _DatasetName
    schema: _Path | None = None

    def __post_init__(self) -> None:
        settings.check(self)


@dataclass(frozen=True, kw_only=True)
class NeverConfig:
    """What `[features]` says besides the features.

    Attributes:
      never: columns that may never be a feature, such as those that are known only after the label.
    """

    never: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        settings.check(self)


@dataclass(frozen=True, kw_only=True)
class SpansConfig:
    """`[spans]`: where a dataset's spans are.

    Attributes:
      format: how the files are written; parquet where a `[source]` is pulled.
      pattern: path below the data root, with TFX's `{SPAN}` and `{VERSION}`; where a `[source]` is pulled, by default
        `span-{SPAN}/v{VERSION}/data.parquet`.
      data: folder of the spans, below the dataset's folder, or in a bucket; `--data-root` goes before it. A dataset
        with a `[source]` needs none: its spans are below the root then.
      every: how long a span is where the pattern has dates, which are then first days of periods, in UTC.
      whole_periods: whether the newest such span is taken only once its period is over; `--span` takes it all the same.
      window: how many of the newest spans a model is trained on.
      marker: name of the file that says that a span is complete, such as `_SUCCESS`, in
        the span's folder; where it is empty, the settle time alone says it.
      settle_seconds: files that changed less than so long ago are still being written, and a run waits for them.
    """

    format: Literal["csv", "parquet", "avro", "tfrecord"] = "csv"
    pattern: _Path = "span-{SPAN}/data.csv"
    data: _Path | None = None
    every: Every = "day"
    whole_periods: bool = True
    window: Annotated[int, Range(1, 10_000, "spans")] = 4
    marker: _FileName = ""
    settle_seconds: Annotated[float, Range(0, 86_400, "seconds")] = 5.0
    csv: Annotated[CsvFormat, settings.NOT_A_KEY] = PLAIN

    @property
    def file_format(self) -> Format:
        """How the files are written, with `[spans.csv]`."""
        return self.csv if self.format == "csv" else self.format

    def __post_init__(self) -> None:
        settings.check(self)
        try:
            span_files.check_pattern(self.pattern)
            span_files.check_marker(self.pattern, self.marker)
        except ConfigError as error:
            raise ValueError(str(error)) from error


_OF_TWO, _INTERVAL = 2, 0.9


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """`[label]`: what is predicted; a column or an expression.

    Attributes:
      task: whether one of two, one of several classes, or a number is predicted. Where it is not given, the label
        tells: `classes`, or a text column of three values or more in the schema and no `positive`, are several classes;
        an expression that is no comparison, `transform` and `interval` are a number; all else is one of two.
      column: a column of 0 and 1, or of other values where `positive` names those that count as 1; of the classes'
        names; of numbers.
      positive: the value or values of `column` that count as 1, such as `"Yes"`; every other one counts as 0, and a
        missing one is no label.
      expression: a comparison over columns, such as `tips > 0.2 * fare`; of a regression a number, such as
        `fare + tips`.
      classes: of a multiclass task, in the order in which they are answered; without it, the column's domain in the
        schema.
      weight: how much each row counts in training and in every metric: a column or a number such as `2 * rides`; a row
        whose weight is missing or not above 0 counts as one without a label.
      transform: what a regression learns instead of the label; `log1p` for amounts of very different sizes. Answers are
        in the label's own unit.
      interval: share of the rows that a regression's `lower` to `upper` shall cover; 0.9 where it is not given.
    """

    task: TaskName | None = None
    column: Column | None = None
    positive: _Positive | _PositiveNumber | bool | tuple[_Positive, ...] | tuple[_PositiveNumber, ...] | None = None
    expression: _Text | None = None
    classes: tuple[_Text, ...] | tuple[int, ...] = ()
    weight: _Text | None = None
    transform: TransformName = "none"
    interval: Annotated[float, Range(0, 1, "share of rows", excluded="both")] | None = None

    def __post_init__(self) -> None:
        settings.check(self)
        if (self.column is None) == (self.expression is None):
            raise ValueError("give either column or expression.")
        if self.column is None and self.positive is not None:
            raise ValueError("positive belongs to column; an expression says itself what counts as 1.")
        if self.positive == ():
            raise ValueError("positive: name at least one value.")
        keys: tuple[tuple[bool, str, TaskName], ...] = (
            (self.positive is not None, "positive belongs", "binary"),
            (bool(self.classes), "classes belong", "multiclass"),
            (self.interval is not None, "interval belongs", "regression"),
        )
        claims = [(words, task) for given, words, task in keys if given]
        own = self.task or next((task for _, task in claims), None)
        for words, task in claims:
            if task != own:
                raise ValueError(f"{words} to task {task}. Received: task {own}.")
        if self.column is not None:
            check_column_name(self.column)
        if self.task != "multiclass" or self.classes:
            _ = self.target()

    def task_of(self, domain: Sequence[str] = ()) -> TaskName:
        """Returns the task: the one that is named, or the one that the label plainly has; see `target`."""
        if self.task is not None:
            return self.task
        if self.positive is not None:
            return "binary"
        if self.classes or len(domain) > _OF_TWO:
            return "multiclass"
        is_number = self.expression is not None and label_grammar.is_number(self.expression)
        return "regression" if is_number or self.transform != "none" or self.interval is not None else "binary"

    def target(self, domain: Sequence[str] = ()) -> Target:
        """Returns what is predicted.

        Args:
          domain: the values that the schema allows the column, which are the classes where `classes` names none.

        Raises:
          ValueError: it contradicts itself, or there are no classes.
        """
        task = self.task_of(domain)
        classes = tuple(str(name) for name in self.classes or domain) if task == "multiclass" else ()
        if task == "multiclass" and not classes:
            raise ValueError('classes: name them, such as classes = ["low", "high"], or give the column a domain.')
        return Target(
            label=self.text,
            task=task,
            classes=classes,
            weight=self.weight or "",
            transform=self.transform,
            interval=_INTERVAL if self.interval is None else self.interval,
        )

    @property
    def text(self) -> str:
        """The label as an expression; a lone column is one too."""
        if self.expression is not None:
            return self.expression
        column = str(self.column)
        if self.positive is None or self.positive is True:
            return label_grammar.column_expression(column)
        values = self.positive if isinstance(self.positive, tuple) else (self.positive,)
        return label_grammar.values_expression(
            column, [int(value) if isinstance(value, bool) else value for value in values]
        )


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """`[serving]`: under which name the model is served, which class it answers, and how fast it must answer.

    Attributes:
      model_name: the model's name in the server's URLs, and its folder below `serving/`.
      max_p99_ms: a candidate whose single-row requests take longer, at the 99th percentile and in milliseconds, is not
        pushed; 0 for no limit.
      threshold: from which probability on a binary model answers 1: a number; what scores best on held-out rows, by F1
        (`max_f1`) or Matthews correlation (`max_mcc`); or what costs least:
        `{ cost_false_positive = 1, cost_false_negative = 20 }`. Of several classes the most probable is answered, or
        by `max_f1` (its mean over the classes), `max_mcc` or costs, `{ late = 5 }` where not finding a late one costs
        five times what not finding another does, the one whose probability times its factor is largest.
    """

    model_name: _ModelName
    max_p99_ms: Annotated[float, Range(0, 600_000, "ms")] = 0.0
    threshold: _Probability | Literal["max_f1", "max_mcc"] | Mapping[str, _Cost] = 0.5

    def __post_init__(self) -> None:
        settings.check(self)


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """`[beam]`: where the Beam engine runs; pipeline/config/beam_options.py completes it.

    Attributes:
      runner: the cluster's kind; none for Beam's runner in this process.
      args: Beam's own options, such as `--flink_master=host:8081`.
      artifacts: where artifacts are written if not below the root: storage that every worker reaches.
    """

    runner: Literal["flink", "spark", "dataflow"] | None = None
    args: tuple[_Text, ...] = ()
    artifacts: _Path | None = None

    def __post_init__(self) -> None:
        settings.check(self)


@dataclass(frozen=True, kw_only=True)
class MonitoringConfig:
    """`[monitoring]`: how served requests are looked at.

    Attributes:
      key: features that name a request, for labels that come later; empty for all features.
      window_hours: requests are compared by windows of this length, which begin at multiples of it since 1970 (UTC). A
        whole day holds every hour alike, as the training rows do.
      keep_days: how long requests are kept for labels that come later.
    """

    key: tuple[Column, ...] = ()
    window_hours: Annotated[float, Range(1 / 60, 8_784, "hours")] = 24.0
    keep_days: Annotated[float, Range(0, 36_525, "days")] = 90.0

    def __post_init__(self) -> None:
        settings.check(self)
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
      project: where; needed, with `region`, for everything below.
      region: as `project`.
      machine_type: train as a custom job on such a machine; "" trains in the pipeline's own task.
      accelerator_type: the GPU of that machine, such as `NVIDIA_TESLA_T4`; "" for none.
      accelerator_count: how many of them.
      service_account: what the custom job runs as; "" for the project's default.
      endpoint: display name of the endpoint that pushed models are deployed to, made where there is none; "" for none.
      endpoint_machine_type: what serves there.
      serving_image: container that serves a SavedModel there.
    """

    project: _Project = ""
    region: _CloudName = ""
    machine_type: _CloudName = ""
    accelerator_type: _CloudName = ""
    accelerator_count: Annotated[int, Range(1, 16, "GPUs")] = 1
    service_account: _Account = ""
    endpoint: _DisplayName = ""
    endpoint_machine_type: _CloudName = "n1-standard-2"
    serving_image: _Image = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"

    def __post_init__(self) -> None:
        settings.check(self)
        if (self.machine_type or self.endpoint) and not (self.project and self.region):
            raise ValueError("machine_type and endpoint need project and region.")
        if self.accelerator_type and not self.machine_type:
            raise ValueError("accelerator_type needs machine_type.")
