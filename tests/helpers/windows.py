"""Training windows and spans for tests: taxi-like columns of which one can be changed at a time."""

import numpy as np
import pyarrow as pa
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec

FEATURES = FeatureSpec(
    label="tips > 0.2 * fare",
    numeric=("fare", "miles"),
    categorical=("payment", "area"),
    cyclical={"month": 12},
)
SCHEMA = text_format.Parse(
    """
    feature { name: "fare" type: FLOAT } feature { name: "miles" type: FLOAT } feature { name: "tips" type: FLOAT }
    feature { name: "payment" type: BYTES } feature { name: "area" type: INT } feature { name: "month" type: INT }
    """,
    schema_pb2.Schema(),
)


def rows(number, seed, *, card=0.3, fare=1.0, missing=0.04, tipped=0.2, areas=5):
    """Rows of one distribution, but for what is named."""
    rng = np.random.default_rng(seed)
    fares = np.round(3.25 + rng.gamma(2.0, 4.0, number), 2) * fare
    miles = pa.array(rng.gamma(1.5, 2.0, number), mask=rng.random(number) < missing)
    return pa.table(
        {
            "fare": fares,
            "miles": miles,
            "payment": pa.array(np.where(rng.random(number) < card, "Card", "Cash")),
            "area": pa.array(rng.integers(1, 1 + areas, number)),
            "month": pa.array(np.full(number, seed % 12 + 1)),
            "tips": np.where(rng.random(number) < tipped, fares, 0.0),
        }
    )


def window(rows_per_span=800, **changes):
    """Four spans of the same distribution."""
    return {span: rows(rows_per_span, span, **changes) for span in (1, 2, 3, 4)}
