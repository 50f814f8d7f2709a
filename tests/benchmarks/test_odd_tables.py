"""`init` proposes for odd tables what a person who knows them says; the benchmark asks it of all of them."""

import json

import pytest

import local_runner
from benchmarks.odd_tables import classes_and_numbers, twins, ways_to_write


@pytest.mark.parametrize(
    "make",
    [
        twins.loans_excel,
        twins.loans_us,
        twins.police_stops,
        twins.ratings,
        ways_to_write.parquet_types,
        ways_to_write.many_values,
        ways_to_write.nothing_columns,
        twins.bikes,
        classes_and_numbers.parcels,
        classes_and_numbers.flats,
        classes_and_numbers.insurance,
    ],
    ids=lambda make: make.__name__,
)
def test_roles_are_those_that_a_person_gave(make, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = make()
    table.write(tmp_path / table.file)

    assert local_runner.main(["init", table.file, *table.options, "--name", "mine", "--json"]) == 0

    columns = json.loads(capsys.readouterr().out)["columns"]
    assert {column["name"]: column["role"] for column in columns} == table.roles
