"""Who is asked whether a span drifted: the gate, stock TFDV, and Evidently, NannyML and alibi-detect where they are."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from models import label
from pipeline.config.dataset import Dataset
from pipeline.gate import baseline as baselines
from pipeline.gate import drift, joint, labels


def detect(
    dataset: Dataset,
    base: baselines.Baseline,
    reference: pa.Table,
    changed: Mapping[str, pa.Table],
    peers: Sequence[Peer],
) -> dict[str, dict[str, int]]:
    """Returns detector to change to 1 where anything was called moved."""
    found: dict[str, dict[str, int]] = {"gate": {}, "gate, features": {}, "gate, relations": {}, "gate, label": {}}
    for change, table in changed.items():
        compared = drift.compare(table, base, dataset.features, dataset.gate).drift
        label, _ = labels.compare(table, dataset.label.text, base.label_spans, dataset.gate)
        moved = {item.feature for item in compared.moved} if compared else set()
        assert base.sample is not None, "it was just built"
        relations = joint.compare(table, base.sample, base.bins, base.label, dataset.gate, moved=moved)
        kinds = {
            "gate, features": bool(moved),
            "gate, relations": bool(relations and relations.moved),
            "gate, label": bool(label and label.matters),
        }
        for kind, alarm in {"gate": any(kinds.values()), **kinds}.items():
            found[kind][change] = int(alarm)
    before = _statistics(reference, dataset)
    for change, table in changed.items():
        now = _statistics(table, dataset)
        for source in ("STANDARD", "QUANTILES"):
            distances = _stock_distances(now, before, source)
            for threshold in (0.1, 0.3):
                alarms = found.setdefault(f"TFDV {source} {threshold}", {})
                alarms[change] = int(any(distance > threshold for distance in distances))
    for peer in peers:
        found |= peer.ask(dataset, reference, changed)
    return found


def _flat(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Returns the compared columns, label included, for detectors that know no schema."""
    columns = [column for column in dataset.features.names if column not in dataset.gate.exclude]
    values = labels.evaluate(table, dataset.label.text)
    known = pa.array(values.astype(str).tolist(), mask=values == label.NO_LABEL)
    kept = {column: table[column] for column in columns}
    for feature in dataset.features.encoded:
        if feature.name in kept and feature.kind.distance == "categorical":
            kept[feature.name] = kept[feature.name].cast(pa.large_string())
    return pa.table({**kept, "label": known.cast(pa.large_string())})


def _statistics(table: pa.Table, dataset: Dataset) -> Any:
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics import stats_impl

    flat = _flat(table, dataset).combine_chunks().to_batches()[0]
    arrays = [
        pa.array([None] * flat.num_rows, pa.large_list(c.type)) if c.null_count == len(c) else _lists(c) for c in flat
    ]
    batch = pa.RecordBatch.from_arrays(arrays, names=flat.schema.names)
    return stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())


def _lists(column: pa.Array) -> pa.Array:
    """Returns one list per row, null where the value is missing, as a decoded tf.Example has it."""
    there = pc.is_valid(column).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(there)])
    lists = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), column.drop_null())
    return pc.if_else(pa.array(there), lists, pa.scalar(None, lists.type))


def _stock_distances(current: Any, reference: Any, source: str) -> list[float]:
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = tfdv.infer_schema(reference)
    for feature in schema.feature:
        comparator = feature.drift_comparator
        if feature.type == schema_pb2.BYTES:
            comparator.infinity_norm.threshold = 0.0
        else:
            comparator.jensen_shannon_divergence.threshold = 0.0
            if source == "QUANTILES":
                comparator.jensen_shannon_divergence.source.type = schema_pb2.HistogramSelection.QUANTILES
    anomalies = tfdv.validate_statistics(current, schema, previous_statistics=reference)
    return [m.value for info in anomalies.drift_skew_info for m in info.drift_measurements]


class Peer:
    """A library in an environment of its own, started once: importing it takes longer than an answer."""

    def __init__(self, name: str, python: str) -> None:
        script = Path(__file__).with_name("peers.py")
        command = [python, "-W", "ignore", str(script), name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, dataset: Dataset, reference: pa.Table, changed: Mapping[str, pa.Table]) -> dict[str, dict[str, int]]:
        """Returns detector to change to 1 where anything was called moved."""
        assert self._process.stdin is not None, "it was asked for"
        assert self._process.stdout is not None, "it was asked for"
        with tempfile.TemporaryDirectory() as folder:
            pq.write_table(_flat(reference, dataset), f"{folder}/reference.parquet")
            for index, table in enumerate(changed.values()):
                pq.write_table(_flat(table, dataset), f"{folder}/{index}.parquet")
            self._process.stdin.write(f"{folder} {len(changed)}\n")
            self._process.stdin.flush()
            verdicts = json.loads(self._process.stdout.readline())
        return {detector: dict(zip(changed, alarms, strict=True)) for detector, alarms in verdicts.items()}

    def close(self) -> None:
        """Lets it end."""
        self._process.communicate()
