"""Everything that one pipeline depends on: the dataset, and where things are."""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from models.own.source import PREPROCESSING
from pipeline import REPOSITORY
from pipeline.config.dataset import Dataset
from pipeline.config.sections import VertexConfig
from pipeline.gate.settings import EvaluatorSettings, Floors, Settings

# A compiled pipeline's run-time parameter, and what PipelineConfig.span is in one.
SPAN_PARAMETER: Final = "span"


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
      state_token: a hash of the state the caller sees, part of the gate's cache key; see span_records.token.
      refused: the spans whose candidates were refused by the thresholds of today; see span_records.refused.
      evaluated_at: the time of the decision, seconds since 1970; the model's age is counted to it.
      forced: rerun even where nothing asks for it.
      explain: end the pipeline after the decision, which leaves no record: it is only wanted for a look.
      decide: end the pipeline after the decision, which is recorded; a run without it carries on from there.
      tune: end the pipeline after the Tuner, whatever [tuning] says of trainings.
      push: False ends the pipeline before the Pusher.
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
    refused: str = ""
    evaluated_at: int = 0
    forced: bool = False
    explain: bool = False
    decide: bool = False
    tune: bool = False
    push: bool = True
    engine: Literal["local", "beam"] = "local"
    beam_args: tuple[str, ...] = ()
    vertex: VertexConfig | None = None
    image: str = ""

    @property
    def code_version(self) -> str:
        """A hash of `models/` and `columnar/`: TFX's cache knows a function by name only."""
        digest = hashlib.sha256()
        for package in ("models", "columnar"):
            for path in sorted((REPOSITORY / package).rglob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def preprocessing_fn(self) -> str:
        """What Transform calls."""
        own = self.dataset.own is not None and PREPROCESSING in self.dataset.own.functions
        return f"models.{'own.transform' if own else 'preprocessing'}.preprocessing_fn"

    def own_code(self, function: str = "") -> dict[str, str]:
        """Returns the texts of own code for a component's `custom_config`: in its cache key, and wherever it runs.

        Args:
          function: nothing is returned where the code does not define it.
        """
        own = self.dataset.own
        return {} if own is None or (function and function not in own.functions) else {"own": own.to_json()}

    @property
    def compiled(self) -> bool:
        """Whether the pipeline runs elsewhere, where no caller of ours hands it the state or records how it ends."""
        return self.metadata_path is None

    @property
    def has_tuner(self) -> bool:
        """Whether hyperparameters are searched before a model is trained."""
        return self.tune or self.dataset.tuning.each_training

    def trainer_config(self) -> dict[str, str]:
        """Returns the `custom_config` of whatever trains: the Trainer's, and the Tuner's, who adds to it."""
        return {
            "features": self.dataset.features.to_json(),
            "training": self.dataset.training.to_json(),
            "model": self.dataset.model.to_json(),
            "code": self.code_version,
            **self.own_code(),
        }

    def schema_text(self) -> str:
        """Returns the curated schema's text."""
        assert self.dataset.schema_path is not None, "the pipeline of a dataset without a schema ends at SchemaGen"
        return self.dataset.schema_path.read_text(encoding="utf-8")

    def gate_settings(self) -> str:
        """Returns, as JSON, what RerunGate and BaselineGen read of the dataset file."""
        dataset = self.dataset
        return Settings(
            features=dataset.features,
            policy=dataset.gate,
            slices=dataset.evaluation.slices,
            training=dataset.training.to_json(),
            model=dataset.model.to_json(),
            own=dataset.own.digests if dataset.own else {},
            code=self.code_version,
        ).to_json()

    def floors(self) -> str:
        """Returns, as JSON, what RerunGate holds a live model to; empty where the caller sees that none is live.

        There a threshold is a matter of the Evaluator alone, and a candidate is judged anew without being trained anew.
        """
        if not self.compiled and not self.live_version:
            return ""
        return Floors(limits=self.dataset.evaluation.floors_of(self.dataset.features.task)).to_json()

    def evaluator_settings(self) -> str:
        """Returns, as JSON, what the Evaluator reads of the dataset file."""
        return EvaluatorSettings(features=self.dataset.features, evaluation=self.dataset.evaluation).to_json()
