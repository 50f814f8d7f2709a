"""From what the user asked for to a pipeline's configuration."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from pipeline.config.dataset import Dataset
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.errors import ConfigError
from pipeline.ingest.spans import SpanFile
from pipeline.sources.module import write_spans
from pipeline.state import span_records
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions

SECONDS_PER_DAY = 86_400


def new_run_id() -> str:
    """Returns the id of a run: its start in local time, as TFX names its own runs."""
    return datetime.now().isoformat()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for.

    Attributes:
      files: of the span to process, as the data root was listed; empty for `watch`, until a span comes.
      explain: only look at the decision.
      decide: make it and stop there.
      tune: search hyperparameters and stop there; as `explain`, it leaves no decision.
      push: False to train and evaluate, and push nothing.
      run_id: the run's own in ML Metadata, by which its report is found whatever the clock does meanwhile.
    """

    dataset: Dataset
    root: Root
    data_root: str
    files: tuple[SpanFile, ...] = ()
    forced: bool = False
    explain: bool = False
    decide: bool = False
    tune: bool = False
    push: bool = True
    engine: Literal["local", "beam"] = "local"
    beam_args: tuple[str, ...] = ()
    run_id: str = field(default_factory=new_run_id)

    @property
    def span(self) -> int:
        """The span to process."""
        return self.files[0].span


def locate_data(dataset: Dataset, root: Root, data_root: str | None) -> str:
    """Returns the data root: the one given, else `[spans] data`, else that of `[source]` below the root.

    Raises:
      ConfigError: nothing says where the spans are, or what says it names no folder; of a source, nothing was pulled.
    """
    if dataset.source is not None and dataset.source.pulls:
        return _pulled(dataset, root, data_root)
    if data_root is not None:
        return _existing(data_root, Path(), "--data-root")
    if dataset.spans.data is not None:
        return _existing(dataset.spans.data, dataset.path.parent, f"{dataset.path} [spans]: data")
    if dataset.source is None:
        raise ConfigError(
            f"{dataset.path} [spans]: nothing says where the spans are. Write their folder there, relative to the file "
            'or in a bucket (data = "spans"), or give it to the command: --data-root DIR.'
        )
    folder = root.path / "data"
    write_spans(dataset.source, folder)
    return str(folder)


def _pulled(dataset: Dataset, root: Root, data_root: str | None) -> str:
    """Returns the folder that `pull` writes to, with the same options."""
    try:
        if data_root is not None:
            return _existing(data_root, Path(), "--data-root")
        return _existing(dataset.spans.data or str(root.path / "data"), dataset.path.parent, f"{dataset.path} [source]")
    except ConfigError as error:
        raise ConfigError(f"{error} Nothing was pulled yet: the command `pull` makes it.") from error


def _existing(folder: str, base: Path, named_by: str) -> str:
    """Returns a folder in full: Beam's workers have working directories of their own. A bucket stays as it is.

    Raises:
      ConfigError: there is no such local folder.
    """
    if "://" in folder:
        return folder
    path = (base / folder).absolute()
    if not path.is_dir():
        raise ConfigError(f"{named_by}: there is no folder {path}.")
    return str(path)


def settle_seconds(dataset: Dataset, root: Root, data_root: str) -> float:
    """Returns how long files must have stayed as they are; 0 in a bucket, and for spans that we write ourselves.

    Both appear whole, and a bucket's listing is a request.
    """
    written_here = dataset.source is not None and data_root == str(root.path / "data")
    return 0.0 if written_here or "://" in data_root else dataset.spans.settle_seconds


def artifacts_of(dataset: Dataset, root: Root, engine: Literal["local", "beam"]) -> str:
    """Returns where artifacts are written: below the root, or where `[beam]` says for the Beam engine."""
    return (dataset.beam.artifacts if engine == "beam" else None) or str(root.artifacts)


def shared_folders(dataset: Dataset, root: Root, data_root: str, engine: Literal["local", "beam"]) -> dict[str, str]:
    """Returns what Beam's workers must reach, by what names it."""
    return {"--data-root": data_root, "[beam] artifacts": artifacts_of(dataset, root, engine)}


def pipeline_config(request: Request, now: float) -> PipelineConfig:
    """Returns the pipeline's configuration, with the span and the state that this machine sees now."""
    from pipeline.gate import serving_evidence
    from pipeline.state import version_folder

    dataset, root = request.dataset, request.root
    serving_dir = root.serving(dataset.serving.model_name)
    versions = pushed_versions(serving_dir)
    live = version_folder.live_training(serving_dir)
    records = span_records.reopened(span_records.read_records(str(root.state)), dataset.thresholds, since=request.span)
    return PipelineConfig(
        dataset=dataset,
        data_root=request.data_root,
        span=request.span,
        pipeline_root=artifacts_of(dataset, root, request.engine),
        serving_dir=str(serving_dir),
        state_dir=str(root.state),
        metadata_path=str(root.metadata),
        live_version=str(versions[-1]) if versions else "",
        # What the monitor has found since is a reason to decide anew.
        state_token=span_records.token(span_records.done(records, live)) + serving_evidence.token(str(root.state)),
        refused=span_records.refused(records),
        # By the day: a run that was killed and started again finds its gate's decision in the cache.
        evaluated_at=int(now) // SECONDS_PER_DAY * SECONDS_PER_DAY,
        forced=request.forced,
        explain=request.explain,
        decide=request.decide,
        tune=request.tune,
        push=request.push,
        engine=request.engine,
        beam_args=request.beam_args,
    )
