"""The taxi trips' quarters and their baselines, for tests of sequences of real spans."""

from pathlib import Path

from pyarrow import csv

from data.taxi import source
from pipeline.config.dataset import load_dataset
from pipeline.config.schema import read_schema
from pipeline.gate.measuring import build_baseline

TAXI = load_dataset("taxi")


def read_quarters(folder: Path):
    """Returns the rows of spans 1 to 13, missing values as missing."""
    options = csv.ConvertOptions(strings_can_be_null=True)
    return {
        span: csv.read_csv(path, convert_options=options) for span, path in enumerate(source.write_spans(folder), 1)
    }


def baseline_of(tables, policy, live=None):
    """Returns the baseline of a training window of these spans, pushed after the live one."""
    schema = read_schema(TAXI.schema_path)
    return build_baseline(tables, schema, TAXI.features, policy, evaluation=None, statistics=None, live=live)
