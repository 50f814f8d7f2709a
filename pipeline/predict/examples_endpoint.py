"""A served model that takes serialized tf.Examples, asked by column: what `run_fn` of own code may have exported."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from models.foreign_signature import signature_of
from pipeline.predict.client import Endpoint, Instance, Signature

_DTYPES = {schema_pb2.INT: "DT_INT64", schema_pb2.FLOAT: "DT_FLOAT"}
_ARROW = {"DT_INT64": pa.int64(), "DT_FLOAT": pa.float64(), "DT_STRING": pa.large_string()}


class ExamplesEndpoint:
    """The endpoint of such a model.

    Attributes:
      signature: as if it took a column each.
      defaults: that any value may be missing.
    """

    def __init__(self, endpoint: Endpoint, signature: Signature, columns: Mapping[str, str]) -> None:
        """Takes the type of each column, in TensorFlow's terms."""
        self._endpoint, self._columns = endpoint, columns
        (self._input,) = signature.inputs
        self.signature = Signature(version=signature.version, inputs=columns, outputs=signature.outputs)
        self.defaults: Mapping[str, Any] = dict.fromkeys(columns)

    def predict(self, signature: str, instances: Sequence[Instance]) -> list[Any]:
        """As Endpoint.predict."""
        import base64

        from columnar.example_encoder import encode

        arrays = {name: pa.array([one[name] for one in instances], _ARROW[t]) for name, t in self._columns.items()}
        examples = encode(pa.RecordBatch.from_pydict(arrays)).records.to_pylist()
        asked = [{self._input: {"b64": base64.b64encode(example).decode("ascii")}} for example in examples]
        return self._endpoint.predict(signature, asked)


def by_column(
    endpoint: Endpoint, signature: Signature, version_dir: Path, schema: schema_pb2.Schema, names: Sequence[str]
) -> ExamplesEndpoint | None:
    """Returns the endpoint that takes columns; None where the model itself does.

    Args:
      version_dir: the version that answers, or one like it; it need not be here.
      schema: of the raw rows.
      names: of the columns that a client sends.
    """
    foreign = signature_of(str(version_dir))
    if foreign is None or not foreign.examples or set(signature.inputs) != {foreign.examples}:
        return None
    kinds = {feature.name: _DTYPES.get(feature.type, "DT_STRING") for feature in schema.feature}
    return ExamplesEndpoint(endpoint, signature, {name: kinds[name] for name in names})
