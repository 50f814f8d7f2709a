"""`init` proposes for odd tables what a person who knows them says; the benchmark asks it of all of them."""

import json

import pytest

import local_runner
from benchmarks import odd_tables


@pytest.mark.parametrize(
    "make",
    [
        odd_tables.loans_excel,
        odd_tables.loans_us,
        odd_tables.police_stops,
        odd_tables.ratings,
        odd_tables.parquet_types,
        odd_tables.many_values,
        odd_tables.nothing_columns,
        odd_tables.bikes,
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
