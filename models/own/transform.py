"""`preprocessing_fn` of own code, as TFT calls it: on the Beam engine, and here over a few large batches.

Without analyzers nothing is read. With them TFT's own Beam pipeline runs in this process; it is given whole Arrow
batches, so that what Beam costs grows with the batches and with the values that a vocabulary counts, not with the rows.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from models.errors import OwnCodeError
from models.features import FeatureSpec
from models.own import loading
from models.own.source import PREPROCESSING, RUN, OwnCode
from models.preprocessing import LABEL_KEY, label_of
from models.transform_graph import select_columns, write_raw_schema

Batches = Callable[[], Iterable[pa.RecordBatch]]
"""Gives flat record batches, anew each time that it is called."""


class _Columns(dict[str, Any]):
    """The columns of [features] and [label]; another one is told by its name."""

    def __missing__(self, name: str) -> Any:
        raise LookupError(
            f"the column {name!r} is not in [features] of dataset.toml, where the columns that a model may read are "
            f"listed. They are: {', '.join(sorted(self))}."
        )


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Calls the own `preprocessing_fn` with the columns that the dataset file names.

    Unless own code trains too, what it computes from columns that are no features is left out, as a label is, which no
    request will bring; `label_xf` is ours.

    Args:
      inputs: the schema's columns.
      custom_config: "own" is OwnCode.to_json(), "features" FeatureSpec.to_json().
    """
    own = OwnCode.from_json(custom_config["own"])
    features = FeatureSpec.from_json(custom_config["features"])
    given = _Columns({name: x for name, x in inputs.items() if name in features.columns})
    config = {"features": json.loads(custom_config["features"])}
    arguments = (given, config)[: loading.takes(own, PREPROCESSING)]
    outputs = loading.function(own, PREPROCESSING)(*arguments)
    if not isinstance(outputs, Mapping) or not outputs:
        raise OwnCodeError(
            f"{own.entry}: {PREPROCESSING}: expected a dict of tensors by name. Received: {type(outputs).__name__}."
        )
    if RUN in own.functions:
        return dict(outputs)
    hidden = [x for name, x in given.items() if name not in features.names]
    kept = {name: x for name, x in outputs.items() if not _depends(x, hidden)}
    if not kept:
        raise OwnCodeError(
            f"{own.entry}: {PREPROCESSING}: every output depends on columns of the label, so nothing is left to learn "
            "from."
        )
    return kept | {LABEL_KEY: label_of(features.target, given)}


def _depends(output: Any, inputs: Iterable[Any]) -> bool:
    """Whether a tensor is computed from one of these, row by row; what an analyzer has made of them is a constant."""
    wanted = {id(part) for x in inputs for part in tf.nest.flatten(x, expand_composites=True)}
    seen: set[int] = set()
    left = tf.nest.flatten(output, expand_composites=True)
    while left:
        tensor = left.pop()
        if id(tensor) in wanted:
            return True
        if id(tensor) not in seen:
            seen.add(id(tensor))
            left.extend(tensor.op.inputs)
    return False


def write_own_graph(
    own: OwnCode, features: FeatureSpec, schema: schema_pb2.Schema, batches: Batches, output_dir: str
) -> None:
    """Analyses and writes the transform graph, as TFT's Beam pipeline on any other runner does.

    Args:
      schema: of the raw data; only the columns of `features` enter the graph.
      batches: the rows to analyse.
      output_dir: folder to write into; must not hold a transform graph yet.

    Raises:
      OwnCodeError: `preprocessing_fn` failed; names the file and the line.
    """
    # TFT has no public call for a graph without a Beam pipeline; see models/transform_graph.py.
    import tensorflow_transform as tft
    from tensorflow_transform import impl_helper
    from tensorflow_transform.tf_metadata import schema_utils

    raw_schema = select_columns(schema, features)
    feature_spec = schema_utils.schema_as_feature_spec(raw_schema).feature_spec
    type_specs = impl_helper.get_type_specs_from_feature_specs(feature_spec)
    config = {"own": own.to_json(), "features": features.to_json()}
    traced = functools.partial(preprocessing_fn, custom_config=config)
    if tft.get_analyze_input_columns(traced, type_specs):
        _analyze(traced, raw_schema, batches, output_dir)
    else:
        impl_helper.analyze_in_place(
            traced,
            force_tf_compat_v1=False,
            feature_specs=feature_spec,
            type_specs=type_specs,
            transform_output_path=output_dir,
        )
    write_raw_schema(raw_schema, output_dir)


def _analyze(
    traced: Callable[[Mapping[str, Any]], dict[str, Any]],
    schema: schema_pb2.Schema,
    batches: Batches,
    output_dir: str,
) -> None:
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    arrow = pa.schema([(feature.name, _list_type(feature.type)) for feature in schema.feature])
    config = tensor_adapter.TensorAdapterConfig(arrow, representations)
    with tempfile.TemporaryDirectory(prefix="own-transform-") as temp_dir:
        options = beam.options.pipeline_options.PipelineOptions(["--runner=FnApiRunner"])
        with (
            beam.Pipeline(options=options) as pipeline,
            tft_beam.Context(temp_dir=temp_dir, use_deep_copy_optimization=True, force_tf_compat_v1=False),
        ):
            rows = (
                pipeline | "Once" >> beam.Create([None]) | "Read" >> beam.FlatMap(lambda _: _as_lists(batches(), arrow))
            )
            transform_fn = (rows, config) | tft_beam.AnalyzeDataset(traced)
            _ = transform_fn | tft_beam.WriteTransformFn(output_dir)


def _list_type(kind: int) -> pa.DataType:
    item = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float32()}.get(kind, pa.large_binary())
    return pa.large_list(item)


def _as_lists(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yields flat batches as TFX reads tf.Examples: a list for each row, empty where a value is missing."""
    for batch in batches:
        columns = []
        for field in schema:
            column = batch.column(field.name)
            present = column.is_valid().to_numpy(zero_copy_only=False)
            offsets = np.concatenate([[0], np.cumsum(present)]).astype(np.int64)
            values = column.drop_null().cast(field.type.value_type, safe=False)  # A tf.Example has no float64.
            columns.append(pa.LargeListArray.from_arrays(pa.array(offsets), values))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def transformed_schema(transform_dir: str) -> schema_pb2.Schema:
    """The schema of the transformed features, as TFT has written it."""
    from google.protobuf import text_format

    with tf.io.gfile.GFile(os.path.join(transform_dir, "transformed_metadata", "schema.pbtxt")) as file:
        return text_format.Parse(file.read(), schema_pb2.Schema())
