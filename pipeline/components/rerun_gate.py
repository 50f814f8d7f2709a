"""Block, skip, recalibrate or rerun: the gate as a component around `pipeline.assess`."""

import dataclasses
import functools
import json
import logging
import os
import time
from collections.abc import Sequence

import pyarrow as pa
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import (
    ExampleAnomalies,
    Examples,
    ExampleStatistics,
    HyperParameters,
    Model,
    Schema,
)
from tfx.utils import io_utils, path_utils

from columnar import examples as example_files
from columnar import sampling, split_files
from models.features import FeatureSpec
from pipeline import files
from pipeline.artifacts import Baseline, GateDecision
from pipeline.components import example_gen, training_window
from pipeline.gate import assess, distributions, gains, serving_evidence
from pipeline.gate import baseline as baseline_files
from pipeline.gate.decision import DECISION_FILE, Row, Verdict
from pipeline.gate.definition import Definition
from pipeline.gate.settings import Floors, Settings
from pipeline.ingest import spans as span_files
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.reader import open_span
from pipeline.state import since_push, span_records
from pipeline.state.version_folder import DEFINITION_FILE, read_rollback

logger = logging.getLogger(__name__)

SPLITS = ("train", "eval")
MOST_ROWS = 100_000
"""Of each span that tells what a training would bring: more than are looked at, because some have no label."""


@component
def RerunGate(
    examples: InputArtifact[Examples],
    schema: InputArtifact[Schema],
    statistics: InputArtifact[ExampleStatistics],
    anomalies: InputArtifact[ExampleAnomalies],
    live_model: InputArtifact[Model],
    baseline: InputArtifact[Baseline],
    decision: OutputArtifact[GateDecision],
    comparison: OutputArtifact[ExampleAnomalies],
    hyperparameters: OutputArtifact[HyperParameters],
    settings: Parameter[str],
    state_dir: Parameter[str],
    data_root: Parameter[str],
    pattern: Parameter[str],
    window: Parameter[int],
    marker: Parameter[str] = "",
    ingest: Parameter[str] = "",
    floors: Parameter[str] = "",
    state_token: Parameter[str] = "",
    refused: Parameter[str] = "",
    thresholds: Parameter[str] = "",
    evaluated_at: Parameter[int] = 0,
    forced: Parameter[int] = 0,
    remember: Parameter[int] = 1,
) -> None:
    """Decides on the span and records it, before anything can end the run.

    Args:
      settings: Settings.to_json().
      state_dir: where one record per span is kept.
      data_root, pattern, window, marker: from which a training would take its spans, and how many; see TrainingWindow.
      ingest: how the spans' files are read, as TrainingWindow has it; empty in a file of an older release.
      floors: Floors.to_json(); empty where no model is live.
      state_token: only part of the cache key; see docs/decisions/0003-cache-keys.md.
      refused: the spans whose candidates were refused by the thresholds of today; see span_records.refused.
      thresholds: a hash of those, where no caller has looked for what they refused: compiled pipelines.
      evaluated_at: seconds since 1970; 0 for now.
      forced: 1 to rerun even where nothing asks for it.
      remember: 0 to leave no record: the decision is only wanted for a look.
    """
    now = evaluated_at or int(time.time())
    schema_proto = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    number = examples.get_int_custom_property("span")
    records = span_records.read_records(state_dir)
    if thresholds:
        records = span_records.reopened(records, thresholds, since=number)
    else:
        records = span_records.with_refusals(records, refused)
    waiting = {record.span: record for record in records if record.waiting and record.span < number}
    span = assess.Span(
        number=number,
        version=examples.get_int_custom_property("version"),
        table=example_files.SplitRows((examples.uri,), SPLITS, schema_proto),
        schema=schema_proto,
        statistics=read_statistics(statistics.uri),
        anomalies=read_anomalies(anomalies.uri),
        unexpected=example_gen.unexpected_columns(examples),
        waiting={
            number: example_files.SplitRows((record.examples_uri,), SPLITS, schema_proto)
            for number, record in waiting.items()
        },
    )
    live = find_live(live_model, baseline)
    more_spans, past = None, None
    if live is not None and live.baseline is not None and live.rollback is None:
        readable = training_window.choose_spans(
            span_files.newest_versions(data_root, pattern, marker),
            span_records.newest_records(records),
            newest=number,
            size=window,
        )
        more_spans = training_window.more_spans(readable or [number], records, live.baseline.window, window)
        past = gains.Past(
            window=tuple(readable),
            rows_of=lambda span: read_rows(
                span_files.choose_span(data_root, pattern, marker, span),
                IngestConfig.from_json(ingest),
                Settings.from_json(settings).features,
                Settings.from_json(settings).policy.cluster,
            ),
        )
    earlier = since_push.read(state_dir, live.version, before=span.number) if live else ()
    assessed = assess.assess(
        span,
        live,
        records,
        Settings.from_json(settings),
        evaluated_at=now,
        forced=bool(forced),
        skew=serving_evidence.alerts(state_dir, live.version) if live else None,
        floors=Floors.from_json(floors) if floors else None,
        more_spans=more_spans,
        earlier=earlier,
        read_spans=functools.partial(read_spans, data_root, pattern, marker, ingest),
        past=past if ingest else None,
    )
    made = assessed.decision
    # A span met again keeps its record; another span's content under a new number or version gets one of its own, or it
    # would come again and again.
    met_again = made.row is Row.REPEATED and made.evidence.repeats == (span.number, span.version)
    if remember and not met_again:
        span_records.write_record(state_dir, assess.record_of(made, examples.uri, now))
    if remember and made.compared:
        for record in waiting.values():
            # Their rows have counted now.
            counted = dataclasses.replace(record, waiting=False, examples_uri="", counted_with=span.number)
            span_records.write_record(state_dir, counted)

    if remember and live and assessed.counts:
        challenge = made.evidence.challenge
        moves = since_push.SpanCounts(
            span=span.number,
            version=span.version,
            counts=assessed.counts,
            gain=challenge.expected.value if challenge else None,
        )
        since_push.write(state_dir, live.version, earlier, moves)

    io_utils.write_string_file(os.path.join(decision.uri, DECISION_FILE), made.to_json())
    decision.set_string_custom_property("verdict", made.verdict.value)
    decision.set_int_custom_property("rerun", int(made.verdict.makes_a_version))
    decision.set_int_custom_property("block", int(made.verdict is Verdict.BLOCK))
    decision.set_int_custom_property("span", span.number)
    decision.set_int_custom_property("version", span.version)
    for name, proto in assessed.anomalies.items():
        folder = split_files.folder(comparison.uri, name)
        io_utils.write_bytes_file(os.path.join(folder, split_files.ANOMALIES), proto.SerializeToString())
    io_utils.write_string_file(
        os.path.join(comparison.uri, distributions.FILE), distributions.to_json(assessed.distributions)
    )
    comparison.split_names = artifact_utils.encode_split_names(list(assessed.anomalies))
    given: dict[str, object] = {"warm_start": made.warm_start}
    if made.verdict is Verdict.RECALIBRATE:
        given["recalibrate"] = [*made.evidence.waiting, span.number]
    io_utils.write_string_file(os.path.join(hyperparameters.uri, "hyperparameters.json"), json.dumps(given))


def read_rows(
    files_: Sequence[span_files.SpanFile], config: IngestConfig, features: FeatureSpec, cluster: str | None = None
) -> pa.Table:
    """Returns a span's features, label columns and groups in the order of its files; of very many rows, some at random.

    Raises:
      IngestError: a file cannot be read.
    """
    paths = [file.path for file in files_]
    opened = open_span(paths, config.format, config.columns(paths))
    wanted = [name for name in opened.schema.names if name in (*features.columns, cluster)]
    kinds = pa.schema([opened.schema.field(name) for name in wanted])
    return sampling.sample((batch.select(wanted) for batch in opened.batches), kinds, MOST_ROWS)


def read_spans(data_root: str, pattern: str, marker: str, ingest: str, numbers: Sequence[int]) -> dict[int, pa.Table]:
    """Returns the rows of those of the spans whose files are there, labels of any kind.

    Raises:
      IngestError: a file cannot be read, or lacks a column.
    """
    if not ingest:
        return {}
    config = IngestConfig.from_json(ingest)
    files_of = span_files.newest_versions(data_root, pattern, marker)
    tables = {}
    for number in numbers:
        if number in files_of:
            paths = [file.path for file in files_of[number]]
            opened = open_span(paths, config.format, config.columns(paths).without_label())
            tables[number] = pa.Table.from_batches(opened.batches, opened.schema)
    return tables


def find_live(live_model: Model, baseline: Baseline) -> assess.Live | None:
    """Returns the live model with its baseline; a damaged baseline is said and is no reason to stop."""
    if not live_model.get_int_custom_property("present"):
        return None
    model_dir = path_utils.serving_model_path(live_model.uri)
    found = assess.Live(
        version=live_model.get_string_custom_property("version"),
        model_dir=model_dir,
        baseline=None,
        rollback=read_rollback(model_dir),
    )
    if not baseline.get_int_custom_property("present"):
        return found
    found = dataclasses.replace(found, definition=read_definition(baseline.uri))
    try:
        return dataclasses.replace(found, baseline=baseline_files.Baseline.load(baseline.uri))
    except baseline_files.BaselineError as error:
        return dataclasses.replace(found, why_no_baseline=str(error))


def read_definition(folder: str) -> Definition | None:
    """Returns what the live model was made from; None where it was pushed before definitions were kept."""
    content = files.read(folder, DEFINITION_FILE)
    if content is None:
        return None
    try:
        return Definition.from_json(content.decode())
    except ValueError as error:
        logger.warning("What changed since the live model was trained cannot be told: %s", error)
        return None


def read_statistics(uri: str) -> statistics_pb2.DatasetFeatureStatisticsList | None:
    """Returns TFDV's statistics of the train split; None where they were not computed."""
    path = os.path.join(split_files.folder(uri, "train"), split_files.STATISTICS)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file:
        return statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read())


def read_anomalies(uri: str) -> list[anomalies_pb2.Anomalies]:
    """Returns what TFDV found, split by split."""
    found = []
    for split in SPLITS:
        path = os.path.join(split_files.folder(uri, split), split_files.ANOMALIES)
        if fileio.exists(path):
            with fileio.open(path, "rb") as file:
                found.append(anomalies_pb2.Anomalies.FromString(file.read()))
    return found
