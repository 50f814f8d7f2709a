import os

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.ingest.columns import columns_of

SCHEMA = """
feature { name: "id" type: INT presence { min_fraction: 1.0 min_count: 1 } }
feature { name: "fare" type: FLOAT presence { min_fraction: 1.0 min_count: 1 } }
feature { name: "company" type: BYTES presence { min_fraction: 0.1 } }
feature { name: "note" type: BYTES }
feature { name: "tips" type: FLOAT presence { min_fraction: 1.0 min_count: 1 } }
"""


@pytest.fixture
def schema():
    return text_format.Parse(SCHEMA, schema_pb2.Schema())


@pytest.fixture
def columns(schema):
    """As for the label `tips > 0.2 * fare`, with fare a feature and tips none."""
    return columns_of(schema, label="tips > 0.2 * fare", features=["id", "fare", "company"])


@pytest.fixture
def write(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_text(text)
        return os.fspath(path)

    return write
