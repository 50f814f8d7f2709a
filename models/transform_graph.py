"""The transform graph on disk, in TFT's own format: written without Beam, read without TFT.

<dir>/transform_fn/           SavedModel with the function `transform_fn`, vocabularies among its assets
<dir>/transformed_metadata/   schema of the transformed features, asset_map
<dir>/metadata/               schema of the raw features
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.analysis import MISSING_INT, Analysis, as_float32, is_integer_category
from models.errors import FeatureError
from models.features import FeatureSpec
from models.preprocessing import constant_name, preprocessing_fn
from models.tensor_names import alias, tensor_names

_ASSET_MAP = "asset_map"
INT64_LIMIT = 9223371487098961920.0
"""The largest float32 below 2**63: beyond it the cast to int64 is undefined."""


def write_transform_graph(
    analysis: Analysis, features: FeatureSpec, schema: schema_pb2.Schema, output_dir: str
) -> None:
    """Writes a transform graph with the constants of `analysis`; tft.TFTransformOutput(output_dir) reads it.

    Args:
      schema: of the raw data; only the columns of `features` enter the graph.
      output_dir: folder to write into; must not hold a transform graph yet.

    Raises:
      FeatureError: a column of `features` is not in the schema.
    """
    # TFT has no public call for a graph without a Beam pipeline; this is the one behind its stock component.
    from tensorflow_transform import annotators, impl_helper
    from tensorflow_transform.tf_metadata import schema_utils

    raw_schema = select_columns(schema, features)
    feature_spec = schema_utils.schema_as_feature_spec(raw_schema).feature_spec
    type_specs = impl_helper.get_type_specs_from_feature_specs(feature_spec)
    with tempfile.TemporaryDirectory(prefix="analysis-") as folder:
        analysis.save(folder)
        config = {"features": features.to_json(), "analysis": folder}
        asset_map: dict[str, str] = {}

        def traced(inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
            outputs = preprocessing_fn(inputs, config)
            asset_map.update(annotators.get_asset_annotations(tf.compat.v1.get_default_graph()))
            return outputs

        impl_helper.analyze_in_place(
            traced,
            force_tf_compat_v1=False,
            feature_specs=feature_spec,
            type_specs=type_specs,
            transform_output_path=output_dir,
        )
    with tf.io.gfile.GFile(os.path.join(output_dir, "transformed_metadata", _ASSET_MAP), "w") as file:
        file.write(json.dumps(asset_map))
    write_raw_schema(raw_schema, output_dir)


def write_raw_schema(schema: schema_pb2.Schema, transform_dir: str) -> None:
    """Writes the schema of the raw data beside the graph; `TransformGraph.raw_schema` reads it."""
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io

    metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), os.path.join(transform_dir, "metadata"))


@dataclass(frozen=True, kw_only=True)
class Constants:
    """What the analysis found, as a transform graph holds it.

    Attributes:
      moments: mean and standard deviation of each numeric column, in float64.
      boundaries: inner quantile boundaries of each numeric and bucketized column, float32, ascending.
      tokens: the vocabulary of each categorical column, in order.
    """

    moments: Mapping[str, tuple[float, float]]
    boundaries: Mapping[str, np.ndarray]
    tokens: Mapping[str, list[bytes]]


class TransformGraph:
    """A loaded transform graph, of this module or of stock Transform, applied to whole batches.

    Attributes:
      function: `transform_fn` of the SavedModel; the model that is exported must keep `loaded` as an attribute.
      loaded: the SavedModel.
    """

    def __init__(self, transform_dir: str, features: FeatureSpec) -> None:
        self.features = features
        self._dir = transform_dir
        self.loaded = tf.saved_model.load(os.path.join(transform_dir, "transform_fn"))
        self.function = self.loaded.transform_fn
        (self._input_specs,) = self.function.structured_input_signature[0]

    @property
    def serving_inputs(self) -> dict[str, tf.TensorSpec]:
        """Dense inputs of the serving signature: float32 (NaN missing), string ("" missing), int64 (-1 missing)."""
        arguments = tensor_names(self.features.names)
        numbers = {column.name for column in self.features.inputs if column.is_number}
        dtypes = {name: tf.float32 if name in numbers else self.raw_dtype(name) for name in arguments}
        return {name: tf.TensorSpec([None], dtypes[name], argument) for name, argument in arguments.items()}

    def vocabulary(self, column: str) -> list[str]:
        """The tokens of a categorical column, in order."""
        return [token.decode("utf-8") for token in self._tokens(column)]

    def constants(self) -> Constants:
        """Reads the constants out of the graph; it may come from either engine.

        Raises:
          FeatureError: the graph was written before its constants had names.
        """
        moments, bucketed, categories = (
            [feature.name for feature in self.features.having(what)] for what in ("moments", "boundaries", "vocabulary")
        )
        wanted = [(name, what) for name in moments for what in ("mean", "std")]
        wanted += [(name, "boundaries") for name in bucketed]
        # Stock Transform hands its constants to the function as further arguments.
        captured = {
            inner.name: outer.numpy()
            for outer, inner in self.function.graph.captures
            if outer.dtype not in (tf.resource, tf.variant)
        }
        with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
            tf.import_graph_def(self.function.graph.as_graph_def(), name="")
            named = {operation.name.rpartition("/")[2]: operation for operation in graph.get_operations()}
            absent = [constant_name(*key) for key in wanted if constant_name(*key) not in named]
            if absent:
                raise FeatureError(f"The transform graph does not name its constants {', '.join(absent)}.")
            values = session.run({key: named[constant_name(*key)].outputs[0] for key in wanted}, captured)
        return Constants(
            moments={name: (float(values[name, "mean"]), float(values[name, "std"])) for name in moments},
            boundaries={name: values[name, "boundaries"].reshape(-1) for name in bucketed},
            tokens={name: self._tokens(name) for name in categories},
        )

    def _tokens(self, column: str) -> list[bytes]:
        with tf.io.gfile.GFile(os.path.join(self._dir, "transformed_metadata", _ASSET_MAP)) as file:
            asset = json.loads(file.read())[alias(column)]
        with tf.io.gfile.GFile(os.path.join(self._dir, "transform_fn", "assets", asset), "rb") as file:
            text: bytes = file.read()
        return text.split(b"\n")[:-1]

    def transform(self, dense: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Transforms dense serving inputs; traceable. Label columns count as missing, so there is no `label_xf`."""
        transformed: dict[str, tf.Tensor] = self._traced({name: dense[name] for name in self.serving_inputs})
        return transformed

    @functools.cached_property
    def _traced(self) -> Any:  # Any: a ConcreteFunction; a tf.function would be traced anew while a model is saved.
        function = tf.function(self._transform, input_signature=[self.serving_inputs], autograph=False)
        return function.get_concrete_function()

    def _transform(self, dense: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        rows = tf.shape(next(iter(dense.values())), out_type=tf.int64)[0]
        raw = {name: _as_raw(dense.get(name), spec, rows) for name, spec in self._input_specs.items()}
        return {name: x for name, x in self.function(raw).items() if name != "label_xf"}

    @property
    def outputs(self) -> dict[str, Any]:  # Any: tf.TypeSpec.
        """What `transform` answers, by name."""
        answered = self._traced.structured_outputs
        return {
            name: tf.type_spec_from_value(x) if not isinstance(x, tf.TypeSpec) else x for name, x in answered.items()
        }

    def transform_labelled(self, batch: pa.RecordBatch) -> dict[str, Any]:  # Any: tensors, dense or sparse.
        """Transforms flat columns, those of the label among them; with everything that the graph answers."""
        numbers = {column.name for column in self.features.inputs if column.is_number}
        specs = {
            name: tf.TensorSpec([None], tf.float32 if name in numbers else self.raw_dtype(name))
            for name in self._input_specs
        }
        dense = {name: tf.constant(array) for name, array in serving_arrays(batch, specs).items()}
        rows = tf.constant(batch.num_rows, tf.int64)
        outputs: dict[str, Any] = self.function(
            {name: _as_raw(dense[name], spec, rows) for name, spec in self._input_specs.items()}
        )
        return outputs

    def raw_dtype(self, column: str) -> tf.DType:
        """How a column is stored in tf.Examples: float32, int64 or string."""
        dtype: tf.DType = self._input_specs[column].dtype
        return dtype

    def raw_schema(self) -> schema_pb2.Schema:
        """The schema of the raw data that the graph was made with."""
        with tf.io.gfile.GFile(os.path.join(self._dir, "metadata", "schema.pbtxt")) as file:
            return text_format.Parse(file.read(), schema_pb2.Schema())

    def transform_batch(self, batch: pa.RecordBatch | pa.Table) -> dict[str, np.ndarray]:
        """Transforms flat columns; without `label_xf`."""
        arrays = serving_arrays(batch, self.serving_inputs)
        transformed = self.transform({name: tf.constant(array) for name, array in arrays.items()})
        return {name: x.numpy() for name, x in transformed.items()}


def serving_arrays(batch: pa.RecordBatch | pa.Table, inputs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    """Flat columns as the arrays that a serving signature takes, with its documented values where data is missing."""
    arrays = {}
    for name, spec in inputs.items():
        index = batch.schema.get_field_index(name)
        column = batch.column(index) if index >= 0 else pa.nulls(batch.num_rows)
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        if spec.dtype == tf.float32:
            arrays[name] = as_float32(column, name)
        elif is_integer_category(column.type, name) != (spec.dtype == tf.int64) and not pa.types.is_null(column.type):
            raise FeatureError(f"The model takes {name!r} as {spec.dtype.name}. Received: {column.type}.")
        elif spec.dtype == tf.int64:
            arrays[name] = column.cast(pa.int64()).fill_null(MISSING_INT).to_numpy(zero_copy_only=False)
        else:
            # TensorFlow takes bytes several times faster than str.
            arrays[name] = column.cast(pa.large_binary()).fill_null(b"").to_numpy(zero_copy_only=False)
    return arrays


def select_columns(schema: schema_pb2.Schema, features: FeatureSpec) -> schema_pb2.Schema:
    """Returns the entries of the columns of `features` alone.

    Raises:
      FeatureError: one of them is not in the schema.
    """
    known = {feature.name for feature in schema.feature}
    absent = sorted(set(features.columns) - known)
    if absent:
        raise FeatureError(
            f"Columns of the features or the label are not in the schema: {', '.join(absent)}. "
            f"The schema has: {', '.join(sorted(known))}."
        )
    selected = schema_pb2.Schema()
    selected.CopyFrom(schema)
    del selected.feature[:]
    selected.feature.extend(feature for feature in schema.feature if feature.name in features.columns)
    return selected


def _as_raw(dense: tf.Tensor | None, spec: Any, rows: tf.Tensor) -> Any:
    """A dense serving input as the tensor that the transform graph takes; None is a column without any value."""
    dtype: tf.DType = spec.dtype
    if dense is None:
        if isinstance(spec, tf.SparseTensorSpec):
            no_values = tf.zeros([0], dtype)
            return tf.SparseTensor(tf.zeros([0, 2], tf.int64), no_values, tf.stack([rows, tf.constant(0, tf.int64)]))
        fill = "" if dtype == tf.string else 0
        return tf.fill(tf.stack([rows, *map(int, spec.shape[1:])]), tf.constant(fill, dtype))
    if dense.dtype == tf.float32:
        present = tf.logical_not(tf.math.is_nan(dense))
        limited = tf.clip_by_value(dense, -INT64_LIMIT, INT64_LIMIT) if dtype.is_integer else dense
        values = tf.cast(limited, dtype)
    else:
        present = tf.not_equal(dense, tf.constant("" if dtype == tf.string else MISSING_INT, dtype))
        values = dense
    if isinstance(spec, tf.SparseTensorSpec):
        row = tf.where(present)
        indices = tf.concat([row, tf.zeros_like(row)], axis=1)
        # As tf.boolean_mask gives, with a tenth of the operations to trace.
        return tf.SparseTensor(indices, tf.gather_nd(values, row), tf.stack([rows, tf.constant(1, tf.int64)]))
    return tf.reshape(values, [-1, *spec.shape[1:]])
