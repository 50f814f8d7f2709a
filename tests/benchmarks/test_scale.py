"""The model's arithmetic, on figures that a person can check, and the committed tables."""

import json

from benchmarks import scale

NODES = ("ExampleGen", "StatisticsGen", "RerunGate", "Transform", "Trainer", "BaselineGen", "Evaluator")


def local(rows, seconds, peak_mb):
    return {
        "rows": rows,
        "components": dict.fromkeys(scale.COMPONENTS, seconds),
        "peak_mb": dict.fromkeys(NODES, peak_mb),
    }


def cluster(rows, cpu_s, shuffles):
    job = {"cpu_s": cpu_s, "shuffles": shuffles, "shuffled_bytes": sum(shuffles.values())}
    return {"rows": rows, "jobs": [{"component": name, **job} for name in scale.COMPONENTS]}


RESULTS = {
    "local": local(1_000, 1.5, 1_000),
    "large_local": local(11_000, 2.5, 1_010),
    "flink": cluster(1_000, 12.0, {"Count/CombinePerKey(sum)/Group": 100_000, "Size/Group": 10}),
    "large_flink": cluster(11_000, 32.0, {"Count/CombinePerKey(sum)/Group": 1_100_000, "Size/Group": 10}),
}


def rows(table, component):
    return [line for line in table.splitlines() if line.startswith(f"| {component} |")]


def test_a_line_through_two_sizes():
    assert scale.line((1_000, 12.0), (11_000, 32.0)) == scale.Line(fixed=10.0, per_row=0.002)
    # What is smaller at the larger size does not grow.
    assert scale.line((1_000, 12.0), (11_000, 11.0)) == scale.Line(fixed=11.0, per_row=0.0)


def test_costs_at_ten_billion_rows():
    # 0.002 s * 10^10 = 2 * 10^7 s = 5,556 hours; on 400 vCPUs 13.9 hours.
    # 5,555.6 * 0.056 + 13.889 * 100 * 15 * 0.003557 = 311.1 + 74.1 = 385.2 dollars.
    # 100 bytes * 10^10 are 1,000 GB, at 0.011 another 11 dollars.
    assert rows(scale.costs(RESULTS), "Transform") == ["| Transform | 10.0 | 2000.0 | 5,556 | 13.9 | 1,000.0 | 396 |"]


def test_cores_for_the_same_speed():
    # 1 s in 10,000 rows are 100 µs a row, 20 s are 2,000.
    assert rows(scale.crossing(RESULTS), "Transform") == ["| Transform | 1.4 | 100.0 | 10.0 | 2000.0 | 20 |"]


def test_shuffled_bytes_by_step():
    assert rows(scale.shuffles(RESULTS), "Transform") == [
        "| Transform | Count/CombinePerKey(sum) | 100,000 | 1,100,000 | 1,000,000,000,000 |",
        "| Transform | all others | 10 | 10 | 10 |",
    ]


def test_rows_until_memory_is_full():
    # 10 MiB in 10,000 rows are 1,049 bytes a row; (65,536 - 999) MiB hold 64.5 million.
    assert rows(scale.saturation(RESULTS), "Trainer") == ["| Trainer | 1,010 | 1,049 | 65 million |"]


def test_the_committed_tables_are_those_of_the_committed_results():
    results = json.loads(scale.RESULTS.read_text(encoding="utf-8"))
    page = scale.PAGE.read_text(encoding="utf-8")

    for table in scale.TABLES.values():
        assert table(results) in page
