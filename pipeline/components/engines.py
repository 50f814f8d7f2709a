"""The two engines: which components a pipeline is built from.

`local` moves whole Arrow batches in one process and is the default of local runs; `beam` runs what grows with the data
on any of Beam's runners: ExampleGen, StatisticsGen, TrainingWindow, WindowStatistics, Transform and Evaluator, the
stock executors where TFX has them. The gate, the Trainer, the Pusher and the small ones stay in this process. Both read
and write the same artifacts, so a run may switch between spans.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.data_types import RuntimeParameter

from pipeline.components import evaluator, example_gen, nodes, statistics_gen, transform
from pipeline.components.example_gen import NEWEST, ExampleGen, Span
from pipeline.components.training_window import TrainingWindow, beam_training_window
from pipeline.config.pipeline_config import SPAN_PARAMETER, PipelineConfig
from pipeline.ingest.config import IngestConfig


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The component classes of one engine; each has the standard component's constructor."""

    example_gen: Callable[[PipelineConfig], ExampleGen]
    training_window: Callable[..., TrainingWindow]
    statistics_gen: Callable[..., StatisticsGen]
    transform: Callable[..., Transform]
    evaluator: Callable[..., BaseComponent]


def parts(engine: Literal["local", "beam"]) -> Parts:
    """Returns what a pipeline on `engine` is built from."""
    if engine == "local":
        return Parts(
            example_gen=lambda config: example_gen.local_example_gen(*_source(config)).with_id(nodes.EXAMPLE_GEN),
            training_window=TrainingWindow,
            statistics_gen=statistics_gen.local_statistics_gen,
            transform=transform.local_transform,
            evaluator=evaluator.local_evaluator,
        )
    return Parts(
        example_gen=lambda config: example_gen.beam_example_gen(*_source(config)).with_id(nodes.EXAMPLE_GEN),
        training_window=beam_training_window,
        statistics_gen=statistics_gen.beam_statistics_gen,
        transform=transform.beam_transform,
        evaluator=evaluator.Evaluator,
    )


def ingest_config(config: PipelineConfig) -> IngestConfig:
    """Returns how the dataset's files are read."""
    dataset = config.dataset
    return IngestConfig(
        file_format=dataset.spans.format,
        csv=dataset.spans.csv,
        schema_text=config.schema_text() if dataset.schema_path else "",
        label=dataset.features.target.shortest,
        features=dataset.features.names,
    )


def _source(config: PipelineConfig) -> tuple[str, str, IngestConfig, Span, str]:
    spans = config.dataset.spans
    return config.data_root, spans.pattern, ingest_config(config), _span(config), spans.marker


def _span(config: PipelineConfig) -> Span:
    if config.span == SPAN_PARAMETER:
        return RuntimeParameter(name=SPAN_PARAMETER, ptype=int)
    return NEWEST if config.span is None else int(config.span)
