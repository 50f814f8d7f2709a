import pyarrow as pa
from google.protobuf import text_format
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar import exact_top_k
from columnar.exact_top_k import ExactTopKGenerator


def lists(values, value_type=None):
    wrapped = [None if value is None else [value] for value in values]
    return pa.array(wrapped, pa.large_list(value_type or pa.large_binary()))


def run(generator, *batches):
    accumulator = generator.create_accumulator()
    for batch in batches:
        accumulator = generator.add_input(accumulator, pa.RecordBatch.from_pydict(batch))
    return generator.extract_output(accumulator)


def top_values(statistics):
    return [(value.value, value.frequency) for value in statistics.features[0].string_stats.top_values]


def test_counts_are_added_over_batches_and_ties_go_to_the_larger_value():
    statistics = run(
        ExactTopKGenerator(StatsOptions(num_top_values=3)),
        {"a": lists([b"x", b"y", b"y", None])},
        {"a": lists([b"z", b"x", b"w"])},
    )

    # x and y twice, w and z once: by count, then the larger value first, as TFDV does.
    assert top_values(statistics) == [("y", 2.0), ("x", 2.0), ("z", 1.0)]
    assert statistics.features[0].string_stats.unique == 4


def test_more_distinct_values_than_a_sketch_holds_are_counted_exactly(monkeypatch):
    monkeypatch.setattr(exact_top_k, "_PENDING_ROWS", 1000)
    values = [b"%05d" % number for number in range(20_000)]

    statistics = run(
        ExactTopKGenerator(StatsOptions(num_top_values=1)),
        *({"a": lists(values[start : start + 5000])} for start in range(0, 20_000, 5000)),
        {"a": lists([b"00007"])},
    )

    assert statistics.features[0].string_stats.unique == 20_000
    assert top_values(statistics) == [("00007", 2.0)]


def test_integers_are_counted_only_where_the_schema_calls_them_categorical():
    schema = text_format.Parse(
        'feature { name: "a" type: INT int_domain { is_categorical: true } } feature { name: "b" type: INT }',
        schema_pb2.Schema(),
    )

    statistics = run(
        ExactTopKGenerator(StatsOptions(schema=schema)),
        {"a": lists([10, 9, 9], pa.int64()), "b": lists([1, 2, 3], pa.int64())},
    )

    assert [feature.path.step[0] for feature in statistics.features] == ["a"]
    assert top_values(statistics) == [("9", 2.0), ("10", 1.0)]


def test_accumulators_merge():
    generator = ExactTopKGenerator(StatsOptions(num_top_values=1))
    parts = [
        generator.add_input(generator.create_accumulator(), pa.RecordBatch.from_pydict({"a": lists(values)}))
        for values in ([b"x"], [b"x", b"y"])
    ]

    statistics = generator.extract_output(generator.merge_accumulators(parts))

    assert top_values(statistics) == [("x", 2.0)]
    assert statistics.features[0].string_stats.unique == 2


def test_a_column_without_values_has_no_counts():
    assert len(run(ExactTopKGenerator(StatsOptions()), {"a": lists([None, None]), "b": pa.nulls(2)}).features) == 0
