"""TFDV's statistics as a table for a terminal, and the same as JSON."""

import io

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline.commands import statistics_table
from pipeline.commands.terminal import Terminal

STATISTICS = """
datasets {
  num_examples: 200
  features {
    path { step: "fare" } type: FLOAT
    num_stats { common_stats { num_non_missing: 150 } mean: 12.5 std_dev: 2 min: 1 median: 11 max: 90 }
  }
  features {
    path { step: "note" } type: STRING
    string_stats { common_stats { num_non_missing: 200 } unique: 3 top_values { value: "VALUE" frequency: 50 } }
  }
  features { path { step: "empty" } type: INT num_stats { common_stats { num_missing: 200 } } }
}
"""


def statistics(value):
    text = STATISTICS.replace("VALUE", value)
    return text_format.Parse(text, statistics_pb2.DatasetFeatureStatisticsList())


def test_a_row_per_feature_with_what_applies():
    assert statistics_table.rows(statistics("Cash")) == [
        ("fare", "FLOAT", "75.0%", "-", 12.5, 1.0, 11.0, 90.0, "-"),
        ("note", "STRING", "100.0%", 3, "-", "-", "-", "-", "Cash (25%)"),
        ("empty", "INT", "0.0%", "-", "-", "-", "-", "-", "-"),
    ]
    assert statistics_table.as_json(statistics("Cash"))[1] == {
        "feature": "note",
        "type": "STRING",
        "present": "100.0%",
        "distinct": 3,
        "most frequent": "Cash (25%)",
    }


def test_a_value_of_thousands_of_characters_leaves_the_figures_visible():
    out = io.StringIO()

    Terminal(out, io.StringIO()).table("Span", statistics_table.COLUMNS, statistics_table.rows(statistics("x" * 3000)))

    lines = out.getvalue().splitlines()
    assert len(lines) == 6  # A blank line, the title, the header and a line for each feature.
    assert lines[4].rstrip().endswith("x" * 79 + "… (25%)")
