import numpy as np
import pyarrow as pa

from columnar.sampling import sample

SCHEMA = pa.schema([("n", pa.int64())])


def batches(rows, size):
    numbers = np.arange(rows)
    return [pa.record_batch([pa.array(numbers[start : start + size])], schema=SCHEMA) for start in range(0, rows, size)]


def test_few_rows_are_all_kept_in_order():
    assert sample(batches(100, 30), SCHEMA, 100)["n"].to_pylist() == list(range(100))
    assert sample([], SCHEMA, 10).num_rows == 0


def test_of_many_rows_so_many_are_kept_in_order_wherever_they_stand():
    found = sample(batches(50_000, 700), SCHEMA, 1000)["n"].to_numpy()

    assert len(found) == 1000
    assert (np.diff(found) > 0).all()
    # Uniform over the stream: a mean of 25,000 with a standard error of 456, and a tenth of them in each tenth.
    assert abs(found.mean() - 25_000) < 4 * 456
    assert np.histogram(found, bins=10, range=(0, 50_000))[0].min() > 60
