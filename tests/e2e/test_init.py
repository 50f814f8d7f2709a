"""A stranger's file: two commands to a pushed model, a third to its predictions."""

import csv
import random

import pytest

from tests.e2e.conftest import run

pytestmark = pytest.mark.e2e


def _churn(path):
    """A telecom's export as Excel writes it: semicolons, decimal commas, Yes and No, Windows' encoding."""
    chance = random.Random(3)
    lines = ["Kunden-Nr;Beitritt;Laufzeit (Monate);Tarif;Monatsgebühr €;Churn"]
    for i in range(900):
        months, fee = chance.randrange(1, 60), chance.uniform(10, 90)
        left = chance.random() < 0.8 - months / 80
        plan = chance.choice(["Flat", "Prepaid"])
        day = f"{1 + i % 28:02d}.{1 + i // 300:02d}.2024"
        lines.append(f"K{i:05d};{day};{months};{plan};{fee:.2f};{'Yes' if left else 'No'}")
    text = "\r\n".join(lines[:1] + [_decimal_comma(line) for line in lines[1:]])
    path.write_bytes(text.encode("cp1252"))


def _decimal_comma(line):
    *others, fee, label = line.split(";")
    return ";".join([*others, fee.replace(".", ","), label])


def test_two_commands_take_a_file_to_a_pushed_model(tmp_path):
    file, folder, root = tmp_path / "Kunden März.csv", tmp_path / "kunden", tmp_path / "root"
    _churn(file)

    made = run("init", file, "--label", "Churn", "--time", "Beitritt", "--every", "month", "--out", folder, "--json")
    assert made.status == 0, made.err
    ran = run("run", "--dataset", folder, "--root", root, "--json")
    assert ran.status == 0, ran.err

    assert made.json["next"] == f"python local_runner.py run --dataset {folder}"
    assert ran.json["result"] == "pushed"
    assert ran.json["span"] == 3
    output = tmp_path / "predictions.csv"
    predicted = run("predict", "--dataset", folder, "--root", root, "--batch", "--span", 3, "--output", output)
    assert predicted.status == 0, predicted.err
    with output.open(encoding="utf-8", newline="") as rows:
        assert len(list(csv.DictReader(rows))) == 300
