"""The model's arithmetic, on figures that a person can check, and the committed tables."""

import json

from benchmarks import scale

STOCK = {"CsvExampleGen": 1.0, "StatisticsGen": 1.0, "Evaluator": 1.0}
LOCAL = {"ExampleGen": 0.5, "StatisticsGen": 0.5, "Evaluator": 0.5}
GROWN_STOCK = {"CsvExampleGen": 11.0, "StatisticsGen": 2.0, "Evaluator": 3.0}
GROWN_LOCAL = {"ExampleGen": 1.5, "StatisticsGen": 1.5, "Evaluator": 1.5}
NODES = ("ExampleGen", "StatisticsGen", "RerunGate", "Transform", "Trainer", "BaselineGen", "Evaluator")
RESULTS = {
    "datasets": {
        "flights": {
            "rows": 1_000,
            "stock": {"components": {**STOCK, "Transform": 12.0}},
            "local": {"components": {**LOCAL, "Transform": 1.5}, "peak_mb_after": dict.fromkeys(NODES, 1_000)},
        },
        "flights-x10": {
            "rows": 11_000,
            "stock": {"components": {**GROWN_STOCK, "Transform": 32.0}},
            "local": {"components": {**GROWN_LOCAL, "Transform": 2.5}, "peak_mb_after": dict.fromkeys(NODES, 1_010)},
        },
    }
}


def row(table, component):
    (found,) = (line for line in table.splitlines() if line.startswith(f"| {component} |"))
    return found


def test_a_line_through_two_sizes():
    assert scale.line((1_000, 12.0), (11_000, 32.0)) == scale.Line(fixed=10.0, per_row=0.002)
    # What is smaller at the larger size does not grow.
    assert scale.line((1_000, 12.0), (11_000, 11.0)) == scale.Line(fixed=11.0, per_row=0.0)


def test_costs_at_ten_billion_rows():
    # 0.002 s * 10^10 = 2 * 10^7 s = 5,556 hours; on 400 vCPUs 13.9 hours.
    # 5,555.6 * 0.056 + 13.889 * 100 * 15 * 0.003557 = 311.1 + 74.1 = 385.2 dollars.
    assert row(scale.costs(RESULTS), "Transform") == "| Transform | 10.0 | 2000.0 | 5,556 | 13.9 | 0.0 | 385 |"
    # 0.001 s: half of it; 584 bytes * 10^10 = 5,840 GB at 0.011 are 64.2 dollars more.
    assert row(scale.costs(RESULTS), "ExampleGen") == "| ExampleGen | 0.0 | 1000.0 | 2,778 | 6.9 | 5.8 | 257 |"


def test_cores_for_the_same_speed():
    assert row(scale.crossing(RESULTS), "Transform") == "| Transform | 100.0 | 2000.0 | 20 |"


def test_rows_until_memory_is_full():
    # 10 MiB in 10,000 rows are 1,049 bytes a row; (65,536 - 999) MiB hold 64.5 million.
    assert row(scale.saturation(RESULTS), "Trainer") == "| Trainer | 1,010 | 1,049 | 65 million |"


def test_the_committed_tables_are_those_of_the_committed_results():
    results = json.loads(scale.RESULTS.read_text(encoding="utf-8"))
    page = scale.PAGE.read_text(encoding="utf-8")

    for table in (scale.costs, scale.crossing, scale.saturation):
        assert table(results) in page
