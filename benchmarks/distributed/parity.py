"""Are the artifacts that the Beam engine wrote on a cluster the local engine's?

Two runs' artifacts on the same rows are compared by the rules that the engines' tests use: examples per split
identical, every exact statistic within a relative 1e-6, vocabularies byte by byte, one model's metrics on the same rows
within 1e-4, and the same judgement. What both engines take from quantile sketches (medians, histograms, boundaries of
buckets) depends on the order of merging; there each engine must keep the sketch's promise against the data itself.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from columnar import split_files

SPLITS = ("train", "eval")
RELATIVE = 1e-6
METRICS = 1e-4
# TFDV's and TFT's sketches promise a rank within 1 % of the one asked for.
RANK_ERROR = 0.01


def compare(local: Path, cluster: Path, dataset_folder: str) -> dict[str, Any]:  # Any: JSON.
    """Returns, by artifact, what differs; each list is empty where the runs agree.

    Args:
      local, cluster: the runs' roots; each has run the same span, and pushed or not.
      dataset_folder: of the dataset file that both ran.
    """
    from pipeline.config.dataset import load_dataset
    from pipeline.config.schema import read_schema

    dataset = load_dataset(dataset_folder)
    assert dataset.schema_path is not None
    schema = read_schema(dataset.schema_path)
    found: dict[str, Any] = {}
    for node in ("ExampleGen", "TrainingWindow"):
        found[f"{node}: examples"] = examples(newest(local, node, "examples"), newest(cluster, node, "examples"))
    for node in ("StatisticsGen", "WindowStatistics"):
        source = newest(local, "ExampleGen" if node == "StatisticsGen" else "TrainingWindow", "examples")
        found[f"{node}: statistics"] = statistics(
            newest(local, node, "statistics"), newest(cluster, node, "statistics"), source, schema
        )
    graphs = [newest(root, "Transform", "transform_graph") for root in (local, cluster)]
    window = newest(local, "TrainingWindow", "examples")
    found["Transform: vocabularies"] = vocabularies(*graphs)
    found["Transform: transformed rows"] = transformed(*graphs, window, schema, dataset.features)
    found["Evaluator: metrics of one model"], found["Evaluator: judgement"] = evaluation(cluster, schema, dataset)
    return found


def newest(root: Path, node: str, output: str) -> Path:
    """Returns the artifact that a node has written last."""
    return max((root / "artifacts" / node / output).iterdir(), key=lambda folder: int(folder.name))


def examples(ours: Path, theirs: Path) -> list[str]:
    """Compares the multisets of serialized examples, whatever their order and shards."""
    found = []
    for split in SPLITS:
        one, other = (_digests(Path(split_files.folder(str(uri), split))) for uri in (ours, theirs))
        if not np.array_equal(one, other):
            found.append(f"{split}: {len(one)} and {len(other)} examples, or different ones")
    return found


def _digests(folder: Path) -> Any:  # Any: a numpy array of bytes.
    from columnar.tfrecords import iter_record_batches

    values = [
        hashlib.blake2b(record, digest_size=16).digest()
        for path in sorted(folder.glob("*.gz"))
        for batch in iter_record_batches(str(path), 16_384)
        for record in batch
    ]
    return np.sort(np.array(values, dtype="S16"))


def statistics(ours: Path, theirs: Path, source: Path, schema: Any) -> list[str]:  # Any: a schema proto.
    """Compares exact statistics field by field, and both engines' quantiles with the data's own ranks."""
    from columnar import examples as example_files
    from pipeline.commands import statistics_table

    by_split = [statistics_table.read(str(folder)) for folder in (ours, theirs)]
    found = []
    for split in SPLITS:
        one, other = (part[split].datasets[0] for part in by_split)
        found += [f"{split}{place}" for place in _differences(_exact(one), _exact(other))]
        table = example_files.read_table(example_files.split_paths(str(source), split), schema)
        for engine, value in (("local", one), ("cluster", other)):
            found += [f"{split}, {engine}: {place}" for place in _rank_faults(value, table)]
    return found


def _exact(statistics_of_split: Any) -> dict[str, Any]:  # Any: a proto, and JSON.
    """Returns the statistics by feature without what comes from quantile sketches."""
    from google.protobuf import json_format

    value = json_format.MessageToDict(statistics_of_split, preserving_proto_field_name=True)
    features = {feature["path"]["step"][0]: feature for feature in value.pop("features")}
    for feature in features.values():
        for kind in ("num_stats", "string_stats", "bytes_stats"):
            stats = feature.get(kind, {})
            for sketched in ("median", "histograms"):
                stats.pop(sketched, None)
            stats.get("common_stats", {}).pop("num_values_histogram", None)
    return {**value, "features": features}


def _differences(one: Any, other: Any, place: str = "") -> list[str]:  # Any: JSON.
    if isinstance(one, dict) and isinstance(other, dict):
        if set(one) != set(other):
            return [f"{place}: only in one engine: {sorted(set(one) ^ set(other))}"]
        return [found for key in one for found in _differences(one[key], other[key], f"{place}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for index, (a, b) in pairs for found in _differences(a, b, f"{place}[{index}]")]
    if isinstance(one, float) and isinstance(other, float) and math.isclose(one, other, rel_tol=RELATIVE):
        return []
    return [] if one == other else [f"{place}: {one} and {other}"]


def _rank_faults(statistics_of_split: Any, table: Any) -> list[str]:  # Any: a proto; an Arrow table.
    """Checks the median and each quantile boundary: its rank among the values, against the rank it stands for."""
    found = []
    for feature in statistics_of_split.features:
        name = feature.path.step[0]
        if not feature.HasField("num_stats"):
            continue
        values = np.sort(table.column(name).drop_null().to_numpy().astype(np.float32).astype(np.float64))
        values = values[~np.isnan(values)]
        claims = [("median", feature.num_stats.median, 0.5)]
        for histogram in feature.num_stats.histograms:
            if histogram.type == histogram.QUANTILES:
                count = len(histogram.buckets)
                claims += [
                    (f"quantile {i}/{count}", histogram.buckets[i].low_value, i / count) for i in range(1, count)
                ]
        for what, value, share in claims:
            below = np.searchsorted(values, value, side="left") / len(values)
            up_to = np.searchsorted(values, value, side="right") / len(values)
            if not below - RANK_ERROR <= share <= up_to + RANK_ERROR:
                found.append(f"{name}: {what} is {value}, of rank {below:.3f} to {up_to:.3f}")
    return found


def vocabularies(ours: Path, theirs: Path) -> list[str]:
    """Compares the vocabulary files byte by byte."""
    one, other = (
        {path.name: path.read_bytes() for path in (folder / "transform_fn" / "assets").glob("vocabulary_*")}
        for folder in (ours, theirs)
    )
    if not one or set(one) != set(other):
        return [f"different vocabularies: {sorted(one)} and {sorted(other)}"]
    return [name for name in one if one[name] != other[name]]


def transformed(ours: Path, theirs: Path, window: Path, schema: Any, features: Any) -> list[str]:  # Any: as above.
    """Compares the transformed eval split: z-scores within rounding, identifiers equal, quantile positions by rank."""
    from columnar import examples as example_files
    from models.transform_graph import TransformGraph

    paths = example_files.split_paths(str(window), "eval")
    table = example_files.read_table(paths, schema, list(features.columns))
    one, other = (TransformGraph(str(folder), features).transform_batch(table) for folder in (ours, theirs))
    found = []
    for name in one:
        a, b = (np.asarray(batch[name], np.float64) for batch in (one, other))
        column = name.removesuffix("_id_xf").removesuffix("_quantile_xf")
        if name.endswith("_quantile_xf"):
            buckets, limit = features.numeric_buckets, 0.99
        elif column in features.bucketized:
            buckets, limit = features.bucketized[column], 0.99
        else:
            buckets, limit = 0, 1.0
        # A boundary may lie 1 % of the ranks to either side in each engine: 2 % of the buckets' number, or a tie away.
        tolerance = 1.0 + 2 * RANK_ERROR * buckets if buckets else 1e-5
        share = float(np.mean(np.abs(a - b) <= tolerance))
        if share < limit:
            found.append(f"{name}: equal in {share:.4%} of the rows")
    return found


def evaluation(cluster: Path, schema: Any, dataset: Any) -> tuple[list[str], list[str]]:  # Any: as above.
    """Evaluates the cluster run's model here, on the same rows, and compares with what the cluster found."""
    from columnar import examples as example_files
    from pipeline.components import evaluator
    from pipeline.evaluation import judge
    from pipeline.evaluation.tfma_files import read_results

    window = newest(cluster, "TrainingWindow", "examples")
    columns = sorted({*dataset.features.columns, *dataset.evaluation.slice_columns})
    table = example_files.read_table(example_files.split_paths(str(window), "eval"), schema, columns)
    model = newest(cluster, "Trainer", "model") / "Format-Serving"
    results = evaluator.evaluate(table, dataset.features.target, {"": str(model)}, dataset.evaluation)[0]
    (here,) = results.values()
    folder = newest(cluster, "Evaluator", "evaluation")
    (there,) = read_results(str(folder)).values()
    found = [f"slices: {len(here)} and {len(there)}"] if set(here) != set(there) else []
    for key in set(here) & set(there):
        for metric, value in here[key].items():
            other = there[key][metric]
            # Where all labels are equal there is no AUC: NaN here, 0 in TFMA.
            undefined = math.isnan(value.value) and (other.value == 0 or math.isnan(other.value))
            if not undefined and not math.isclose(value.value, other.value, rel_tol=METRICS, abs_tol=METRICS):
                found.append(f"{judge.slice_name(key) or 'all'} {metric}: {value.value} and {other.value}")
    ours = judge.judge(here, None, dataset.evaluation)
    theirs = json.loads((folder / judge.JUDGEMENT_FILE).read_text())
    rows = [[(row["slice"], row["status"]) for row in one["slices"]] for one in (ours.to_dict(), theirs)]
    same = rows[0] == rows[1] and ours.blessed == theirs["blessed"]
    return found, [] if same else [f"blessed {ours.blessed} and {theirs['blessed']}, or slices judged differently"]
