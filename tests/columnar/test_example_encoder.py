import pyarrow as pa

from columnar.example_encoder import encode, varint


def test_records_are_protobufs_own_deterministic_bytes(nasty, as_protos):
    assert encode(nasty).records.to_pylist() == as_protos(nasty)


def test_keys_are_the_bytes_that_csv_example_gen_hashes(nasty, as_protos):
    assert encode(nasty).keys.to_pylist() == as_protos(nasty, missing_is_a_list=True)


def test_repeated_values_take_the_same_form_as_single_ones(nasty, as_protos):
    # Many rows per distinct value are encoded value by value, few as arrays.
    repeated = pa.Table.from_batches([nasty] * 20).combine_chunks().to_batches()[0]

    assert encode(repeated).records.to_pylist() == as_protos(nasty) * 20


def test_the_order_of_columns_does_not_matter(nasty):
    backwards = nasty.select(list(reversed(nasty.schema.names)))

    assert encode(backwards).records.equals(encode(nasty).records)


def test_a_slice_of_a_batch_encodes_as_its_rows(nasty, as_protos):
    assert encode(nasty.slice(3, 4)).records.to_pylist() == as_protos(nasty)[3:7]


def test_500_columns(as_protos):
    batch = pa.RecordBatch.from_pydict({f"c{index}": pa.array([index, None], pa.int64()) for index in range(500)})

    assert encode(batch).records.to_pylist() == as_protos(batch)


def test_no_rows_and_no_columns():
    assert encode(pa.RecordBatch.from_pydict({"a": pa.array([], pa.int64())})).records.to_pylist() == []
    assert encode(pa.RecordBatch.from_pydict({})).records.to_pylist() == []


def test_varints():
    # Protocol Buffers, "Encoding": 150 is 96 01.
    assert varint(150) == b"\x96\x01"
    assert varint(0) == b"\0"
