"""Where the files of an artifact with splits are, as TFX's own components name them."""

import os

PREFIX = "Split-"
SHARDS = "*.gz"
"""The examples of a split."""
STATISTICS = "FeatureStats.pb"
"""What StatisticsGen writes for a split: TFDV's DatasetFeatureStatisticsList."""
ANOMALIES = "SchemaDiff.pb"
"""What ExampleValidator writes for a split: TFDV's Anomalies."""


def folder(uri: str, split: str) -> str:
    """Returns the folder of one split of an artifact."""
    return os.path.join(uri, f"{PREFIX}{split}")
