"""A stranger's file: two commands to a pushed model, a third to its predictions."""

import csv
import random

import pyarrow.parquet as pq
import pytest

import driftgate
from tests.e2e.conftest import run
from tests.helpers.ports import free_port

pytestmark = pytest.mark.e2e


def _fees(path):
    """A telecom's export as Excel writes it: semicolons, decimal commas, a sign behind amounts, Windows' encoding."""
    chance = random.Random(3)
    lines = ["Kunden-Nr;Beitritt;Laufzeit (Monate);Tarif;Gekündigt;Monatsgebühr €"]
    for i in range(900):
        months, plan = chance.randrange(1, 60), chance.choice(["Flat", "Prepaid"])
        fee = 20 + months / 2 + 15 * (plan == "Flat") + chance.gauss(0, 4)
        day = f"{1 + i % 28:02d}.{1 + i // 300:02d}.2024"
        left = "Yes" if chance.random() < 0.3 else "No"
        lines.append(f"K{i:05d};{day};{months};{plan};{left};" + f"{fee:.2f} €".replace(".", ","))
    path.write_bytes("\r\n".join(lines).encode("cp1252"))


def test_two_commands_take_a_file_to_a_pushed_model(tmp_path):
    file, folder, root = tmp_path / "Kunden März.csv", tmp_path / "kunden", tmp_path / "root"
    _fees(file)

    cut = ("--time", "Beitritt", "--every", "month")
    made = run("init", file, "--label", "Monatsgebühr €", *cut, "--out", folder, "--json")
    assert made.status == 0, made.err
    ran = run("run", "--dataset", folder, "--root", root, "--json")
    assert ran.status == 0, ran.err

    assert made.json["label"]["task"] == "regression"
    assert made.json["next"] == f"python local_runner.py run --dataset {folder}"
    assert ran.json["result"] == "pushed"
    assert ran.json["span"] == 3
    output = tmp_path / "predictions.csv"
    predicted = run("predict", "--dataset", folder, "--root", root, "--batch", "--span", 3, "--output", output)
    assert predicted.status == 0, predicted.err
    with output.open(encoding="utf-8", newline="") as rows:
        values = [float(row["value"]) for row in csv.DictReader(rows)]
    # From 20 to 65, in the file's own unit.
    assert len(values) == 300
    assert 10 < min(values) < 40 < max(values) < 75

    dataset, rows = driftgate.load(folder, root=root), pq.read_table(folder / "spans/span-3/data.parquet").to_pandas()
    with dataset.serve(port=free_port(), log_dir=tmp_path / "requests") as server:
        answered = server.predict(rows.head(3).drop(columns="Monatsgebühr €"))
    assert answered["value"].tolist() == pytest.approx(values[:3], rel=1e-5)
    look = dataset.monitor(tmp_path / "requests", judge_open=True)
    assert look.waiting["rows"].tolist() == [3]
