"""TFT's preprocessing_fn, driven by a FeatureSpec: raw columns to the numbers that the network takes.

| group       | raw column    | transformed features                                                           |
|-------------|---------------|--------------------------------------------------------------------------------|
| numeric     | INT, FLOAT    | `<c>_z_xf`: z-score, limited to +-10, 0 if missing                             |
|             |               | `<c>_quantile_xf`: position among the quantiles, 0 to buckets, -1 if missing   |
| bucketized  | INT, FLOAT    | `<c>_id_xf`: 0 missing, 1 + quantile bucket                                    |
| categorical | BYTES, INT    | `<c>_id_xf`: 0 missing, 1 not in the vocabulary, 2 + line of the vocabulary    |
| hashed      | BYTES, INT    | `<c>_id_xf`: 0 missing, 1 + hash bucket                                        |
| cyclical    | INT, FLOAT    | `<c>_phase_xf`: share of the period passed, [0, 1), 0 if missing               |
|             |               | `<c>_id_xf`: 0 missing, 1 + integer part modulo the period                     |
| multivalued | BYTES         | `<c>_bag_xf`: shares of the row's values: of all unknown ones, of each token   |
| text        | BYTES         | `<c>_bag_xf`: weight of each hash bucket of words and pairs of words; length 1 |

A derived column, and each part of a date, is a column to these: it is computed from raw columns first
(models/expressions.py). All but bags are rank 1. `label_xf` is what models/target.py answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from models import bags
from models.analysis import MISSING_INT, QUANTILE_ERROR, Analysis, vocabulary_file_name
from models.errors import FeatureError
from models.expression_values import TensorRows, evaluate
from models.expressions import Column
from models.features import FeatureSpec
from models.kinds import Feature
from models.target import Target
from models.tensor_names import alias

LABEL_KEY = "label_xf"
Z_LIMIT = 10.0
"""Largest z-score; values further out count as this far."""


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Maps raw columns (dense, sparse or ragged, at most one value per row) to transformed features.

    Args:
      inputs: the schema's columns. The label's columns must be among them.
      custom_config: "features" is FeatureSpec.to_json(). "analysis", if given, is a folder written by Analysis.save:
        its constants take the place of the TFT analyzers, so that no pass over the data is needed.
    """
    features = FeatureSpec.from_json(custom_config["features"])
    folder = custom_config.get("analysis")
    constants: _Constants = _Analyzed(folder) if folder else _TftAnalyzers(features)
    absent = sorted(set(features.columns) - set(inputs))
    if absent:
        raise FeatureError(f"Columns of the features or the label are not in the schema: {', '.join(absent)}.")
    outputs: dict[str, tf.Tensor] = {}
    for feature in features.encoded:
        column = _value(feature, inputs, features)
        outputs |= _ENCODERS[feature.kind.group](feature, column, constants)
    outputs[LABEL_KEY] = label_of(features.target, inputs)
    return outputs


def _value(feature: Feature, inputs: Mapping[str, Any], features: FeatureSpec) -> Any:
    """A feature's column as it came, or its expression as a dense tensor: float64 with NaN, or string with ""."""
    if isinstance(feature.value, Column):
        return inputs[feature.value.name]

    def read(name: str, is_number: bool) -> tf.Tensor:
        if is_number:
            return tf.cast(_number(inputs[name], exact=True), tf.float64)
        return _category(inputs[name])[0]

    return evaluate(feature.value, TensorRows(read, features.as_stored))


def _numeric(feature: Feature, column: Any, constants: _Constants) -> dict[str, tf.Tensor]:
    x = _number(column)
    return {
        f"{feature.name}_z_xf": _z_score(x, *constants.moments(feature.name, x)),
        f"{feature.name}_quantile_xf": _quantile(x, constants.boundaries(feature.name, x, feature.size)),
    }


def _bucketized(feature: Feature, column: Any, constants: _Constants) -> dict[str, tf.Tensor]:
    x = _number(column)
    bucket = _bucket(x, constants.boundaries(feature.name, x, feature.size))
    return {f"{feature.name}_id_xf": tf.where(tf.math.is_nan(x), tf.zeros_like(bucket), 1 + bucket)}


def _categorical(feature: Feature, column: Any, constants: _Constants) -> dict[str, tf.Tensor]:
    x, present = _category(column)
    vocabulary = constants.vocabulary(feature, lambda: tf.boolean_mask(x, present))
    line = tft.apply_vocabulary(x, vocabulary, default_value=-1)
    return {f"{feature.name}_id_xf": tf.where(present, 2 + line, tf.zeros_like(line))}


def _hashed(feature: Feature, column: Any, constants: _Constants) -> dict[str, tf.Tensor]:
    del constants
    x, present = _category(column)
    text = x if x.dtype == tf.string else tf.strings.as_string(x)
    bucket = tf.strings.to_hash_bucket_fast(text, feature.size)
    return {f"{feature.name}_id_xf": tf.where(present, 1 + bucket, tf.zeros_like(bucket))}


def _multivalued(feature: Feature, column: Any, constants: _Constants) -> dict[str, tf.Tensor]:
    of = bags.item_tensors(_category(column)[0], feature.separator)
    line = tft.apply_vocabulary(of.values, constants.vocabulary(feature, lambda: of.values), default_value=-1)
    share = tf.ones_like(of.rows, tf.float32) / tf.gather(_per_row(of), of.rows)
    return {f"{feature.name}_bag_xf": bags.spread(of, 1 + line, share, feature.width)}


def _text(feature: Feature, column: Any, constants: _Constants) -> dict[str, tf.Tensor]:
    of = bags.ngram_buckets(_category(column)[0], feature.size)
    counts = bags.spread(of, of.values, tf.ones_like(of.rows, tf.float32), feature.width)
    frequencies, documents = constants.frequencies(feature.name, counts)
    # As tft.tfidf with smoothing weighs them, but to length 1 rather than by the number of the text's n-grams.
    rareness = tf.math.log((documents + 1.0) / (frequencies + 1.0)) + 1.0
    weights = counts * tf.cast(rareness, tf.float32)
    return {f"{feature.name}_bag_xf": tf.math.divide_no_nan(weights, tf.norm(weights, axis=1, keepdims=True))}


def _per_row(of: bags.Tensors) -> tf.Tensor:
    """How many values each row has, float32."""
    return tf.math.unsorted_segment_sum(tf.ones_like(of.rows, tf.float32), of.rows, of.count)


def _cyclical(feature: Feature, column: Any, constants: _Constants) -> dict[str, tf.Tensor]:
    del constants
    x, period = _number(column), feature.size
    known = tf.math.is_finite(x)
    position = tf.math.floormod(tf.where(known, x, tf.zeros_like(x)), float(period))
    index = tf.cast(tf.floor(position), tf.int64)
    return {
        f"{feature.name}_phase_xf": position / float(period),
        f"{feature.name}_id_xf": tf.where(known, 1 + tf.minimum(index, period - 1), tf.zeros_like(index)),
    }


_ENCODERS: Mapping[str, Callable[[Feature, Any, _Constants], dict[str, tf.Tensor]]] = {
    "numeric": _numeric,
    "bucketized": _bucketized,
    "categorical": _categorical,
    "hashed": _hashed,
    "cyclical": _cyclical,
    "multivalued": _multivalued,
    "text": _text,
}
"""By group: a raw column to its transformed features. Any: tensors of several kinds."""


def constant_name(column: str, what: str) -> str:
    """The operation of the graph that holds a constant of the analysis, whoever computed it."""
    return f"{alias(column)}__{what}"


def label_feature(target: Target, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The label as a transformed feature, (rows,): int64, or float32 of a number, since features have no float64."""
    label = target.evaluate(columns)
    return tf.cast(label, tf.float32) if label.dtype == tf.float64 else label


def label_of(target: Target, inputs: Mapping[str, Any]) -> tf.Tensor:
    """The same from the raw columns that TFT gives."""
    columns = {
        name: _category(inputs[name])[0] if inputs[name].dtype == tf.string else _number(inputs[name], exact=True)
        for name in target.columns
    }
    return label_feature(target, columns)


class _TftAnalyzers:
    """Constants that Beam computes over the whole dataset after this graph is traced."""

    def __init__(self, features: FeatureSpec) -> None:
        self._features = features

    def moments(self, name: str, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        finite = tf.boolean_mask(tf.cast(x, tf.float64), tf.math.is_finite(x))
        mean = tft.mean(finite, name=f"{alias(name)}_mean")
        return _named_moments(name, mean, tf.sqrt(tft.var(finite, name=f"{alias(name)}_var")))

    def boundaries(self, name: str, x: tf.Tensor, buckets: int) -> tf.Tensor:
        present = tf.boolean_mask(x, tf.logical_not(tf.math.is_nan(x)))
        quantiles = tft.quantiles(present, buckets, epsilon=QUANTILE_ERROR, name=f"{alias(name)}_quantiles")[0]
        return tf.identity(quantiles, constant_name(name, "boundaries"))

    def frequencies(self, name: str, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        occurs = tf.cast(counts > 0.0, tf.float64)
        documents = tft.sum(tf.ones_like(occurs[:, 0]), name=f"{alias(name)}_documents")
        return tft.sum(occurs, reduce_instance_dims=False, name=f"{alias(name)}_frequencies"), documents

    def vocabulary(self, feature: Feature, present: Callable[[], tf.Tensor]) -> Any:
        name = feature.name
        file_name = vocabulary_file_name(name)
        tft.annotate_asset(alias(name), file_name)
        return tft.vocabulary(
            present(),
            top_k=feature.size or self._features.vocabulary_size,
            frequency_threshold=self._features.vocabulary_min_count,
            vocab_filename=file_name,
            name=f"{alias(name)}_vocabulary",
        )


class _Analyzed:
    """Constants that models/analysis.py has computed before this graph is traced."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._analysis = Analysis.load(folder)

    def moments(self, name: str, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del x  # Seen already.
        moments = self._analysis.moments[name]
        return _named_moments(name, tf.constant(moments.mean, tf.float64), tf.constant(moments.std, tf.float64))

    def boundaries(self, name: str, x: tf.Tensor, buckets: int) -> tf.Tensor:
        del x, buckets
        return tf.constant(self._analysis.boundaries[name], tf.float32, name=constant_name(name, "boundaries"))

    def frequencies(self, name: str, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del counts
        occurs = tf.constant(self._analysis.frequencies[name], tf.float64)
        return occurs, tf.constant(self._analysis.rows, tf.float64)

    def vocabulary(self, feature: Feature, present: Callable[[], tf.Tensor]) -> Any:
        del present  # Not so much as traced.
        file_name = vocabulary_file_name(feature.name)
        tft.annotate_asset(alias(feature.name), file_name)
        return str(self._folder / file_name)


_Constants = _TftAnalyzers | _Analyzed


def _named_moments(name: str, mean: tf.Tensor, std: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.identity(mean, constant_name(name, "mean")), tf.identity(std, constant_name(name, "std"))


def _first_value(x: Any, missing: Any) -> tf.Tensor:
    """The one value of each row, `missing` where there is none; (rows,)."""
    if isinstance(x, tf.RaggedTensor):
        x = x.to_sparse()
    if isinstance(x, tf.SparseTensor):
        rows = x.dense_shape[0]
        # A batch of missing values only has no second dimension to read from.
        first = tf.sparse.slice(x, [0, 0], tf.stack([rows, 1]))
        widened = tf.SparseTensor(first.indices, first.values, tf.stack([rows, 1]))
        return tf.sparse.to_dense(widened, tf.constant(missing, x.dtype))[:, 0]
    return x if x.shape.rank == 1 else tf.reshape(x, [-1])


def _number(x: Any, *, exact: bool = False) -> tf.Tensor:
    """A numeric column as float32 (float64 if `exact`), NaN where missing."""
    dtype = tf.float64 if exact and x.dtype.is_integer else tf.float32
    if isinstance(x, tf.SparseTensor | tf.RaggedTensor):
        return _first_value(tf.cast(x, dtype), float("nan"))
    return tf.cast(_first_value(x, None), dtype)


def _category(x: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """A string or int64 column, and where it has a value."""
    missing: Any = "" if x.dtype == tf.string else MISSING_INT
    dense = _first_value(x, missing)
    return dense, tf.not_equal(dense, tf.constant(missing, x.dtype))


def _z_score(x: tf.Tensor, mean: tf.Tensor, std: tf.Tensor) -> tf.Tensor:
    spread = std > 0.0  # False for NaN too: TFT's answer for a column without values.
    safe = tf.where(spread, std, tf.ones_like(std))
    z = tf.cast(tf.clip_by_value((tf.cast(x, tf.float64) - mean) / safe, -Z_LIMIT, Z_LIMIT), tf.float32)
    return tf.where(tf.logical_and(spread, tf.logical_not(tf.math.is_nan(x))), z, tf.zeros_like(z))


def _bucket(x: tf.Tensor, boundaries: tf.Tensor) -> tf.Tensor:
    """Index of the bucket, int64: the number of boundaries at or below x."""
    number = tf.where(tf.math.is_nan(x), tf.zeros_like(x), x)
    return tf.searchsorted(boundaries, number, side="right", out_type=tf.int64)


def _quantile(x: tf.Tensor, boundaries: tf.Tensor) -> tf.Tensor:
    """Bucket index plus the share of the bucket passed; the outer buckets are as wide as all inner ones together."""
    bucket = _bucket(x, boundaries)
    width = boundaries[-1] - boundaries[0]
    edges = tf.concat([boundaries[:1] - width, boundaries, boundaries[-1:] + width], axis=0)
    low, high = tf.gather(edges, bucket), tf.gather(edges, bucket + 1)
    share = tf.clip_by_value(tf.math.divide_no_nan(x - low, high - low), 0.0, 1.0)
    # Infinities and values beyond float32's range give NaN here: they lie at their bucket's outer end.
    share = tf.where(tf.math.is_nan(share), tf.cast(x > 0, tf.float32), share)
    return tf.where(tf.math.is_nan(x), -tf.ones_like(x), tf.cast(bucket, tf.float32) + share)
