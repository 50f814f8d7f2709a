"""What an ExampleGen executor must know of a dataset, carried in `custom_config` and so part of the cache key."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from google.protobuf import json_format, struct_pb2, text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.proto import example_gen_pb2

from models.target import Target
from pipeline.ingest.columns import Columns, columns_of
from pipeline.ingest.csv_format import PLAIN, CsvFormat
from pipeline.ingest.infer import infer_schema
from pipeline.ingest.reader import Format
from pipeline.json_values import from_json_values


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """How to read a dataset's files.

    Attributes:
      file_format: csv, parquet, avro or tfrecord.
      csv: how CSV is written; left out of the property where it is as ever, so that compiled files stay what they are.
      schema_text: the curated schema in text form: its content, so that an edited schema is read again; empty where
        the dataset has none yet and types come from the data.
      label: what is predicted, or a binary label's expression; empty where there is none.
      features: columns that the model takes; a label column that is none of them may be absent from a whole span.
    """

    file_format: Literal["csv", "parquet", "avro", "tfrecord"]
    csv: CsvFormat = PLAIN
    schema_text: str = ""
    label: Target | str = ""
    features: tuple[str, ...] = ()

    @property
    def format(self) -> Format:
        """How files are written."""
        return self.csv if self.file_format == "csv" else self.file_format

    def to_proto(self) -> example_gen_pb2.CustomConfig:
        """Returns the value of ExampleGen's `custom_config`."""
        config = example_gen_pb2.CustomConfig()
        fields = asdict(self)
        if self.csv == PLAIN:
            del fields["csv"]
        config.custom_config.Pack(json_format.ParseDict(fields, struct_pb2.Struct()))
        return config

    @classmethod
    def from_json(cls, text: str) -> "IngestConfig":
        """Reads the execution property that TFX made of `to_proto()`."""
        config = json_format.Parse(text, example_gen_pb2.CustomConfig())
        packed = struct_pb2.Struct()
        config.custom_config.Unpack(packed)
        fields = json.loads(json_format.MessageToJson(packed))
        return cls(
            file_format=fields["file_format"],
            csv=from_json_values(CsvFormat, fields.get("csv", {})),
            schema_text=fields["schema_text"],
            label=_target_of(fields["label"]),
            features=tuple(fields["features"]),
        )

    def columns(self, paths: list[str]) -> Columns:
        """Returns what the files must look like; `paths` are read only where there is no schema.

        Raises:
          IngestError: types are to be inferred and a file cannot be read.
        """
        if not self.schema_text:
            return columns_of(infer_schema(paths, self.format))
        schema = text_format.Parse(self.schema_text, schema_pb2.Schema())
        return columns_of(schema, self.label, self.features)


def _target_of(stored: str | dict[str, Any]) -> Target | str:  # Any: JSON.
    return stored if isinstance(stored, str) else Target(**{**stored, "classes": tuple(stored["classes"])})
