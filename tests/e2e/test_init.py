"""A stranger's file: two commands to a pushed model, a third to its predictions."""

import csv
import random

import pyarrow.parquet as pq
import pytest

import driftgate
from models import thresholds
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
    text = (folder / "dataset.toml").read_text(encoding="utf-8")
    assert text.count("[evaluation]\n") == 1
    barred_text = text.replace("[evaluation]\n", '[evaluation]\nmust_beat = "linear"\n')
    (folder / "dataset.toml").write_text(barred_text, encoding="utf-8")
    barred = run("run", "--dataset", folder, "--root", root, "--json")
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    ran = run("run", "--dataset", folder, "--root", root, "--json")
    assert ran.status == 0, ran.err

    # The fee is a sum of its columns: nothing beats a line, and whatever looks at them beats nothing at all.
    assert (barred.status, barred.json["result"]) == (4, "not_blessed"), barred.err
    assert barred.json["evaluation"]["bar"]["baseline"] == "linear"
    assert "a linear model with mean absolute error" in " ".join(barred.json["evaluation"]["reasons"])
    assert "better than no model with mean absolute error" in " ".join(ran.json["evaluation"]["reasons"])

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


def _frauds(path):
    """Six thousand payments, of which one in a hundred is a fraud: mostly large ones from abroad."""
    chance = random.Random(5)
    lines = ["amount,country,age,fraud"]
    for i in range(6_000):
        fraud = i % 100 == 7
        amount = chance.lognormvariate(4.5 if fraud else 3.0, 0.8)
        country = chance.choice(["FI", "FI", "NO"] if fraud else ["NO", "SE", "DK", "FI"])
        lines.append(f"{amount:.2f},{country},{chance.randrange(18, 90)},{'yes' if fraud else 'no'}")
    path.write_text("\n".join(lines), encoding="utf-8")


def test_one_positive_row_in_a_hundred_is_found_out_of_the_box(tmp_path):
    file, folder, root = tmp_path / "payments.csv", tmp_path / "payments", tmp_path / "root"
    _frauds(file)

    made = run("init", file, "--label", "fraud", "--rows-per-span", 6_000, "--out", folder, "--json")
    assert made.status == 0, made.err
    ran = run("run", "--dataset", folder, "--root", root, "--json")
    assert ran.status == 0, ran.err

    (overall,) = ran.json["evaluation"]["slices"]
    assert overall["mean_label"] == pytest.approx(0.01, abs=0.005)
    named = {one["metric"]: one["value"] for one in overall["beside"]}
    assert list(named) == ["auc_precision_recall", "recall_at_precision"]
    # Ten times what a model that knows nothing has, which is the share itself; that is its floor here.
    assert named["auc_precision_recall"] > 0.1
    assert "area under precision and recall" in ran.json["evaluation"]["reasons"][0]
    # Some rows are answered 1, by a threshold far below a half; were none, it would be said.
    assert ran.json["evaluation"]["notes"] == []
    chosen = thresholds.read(str(root / "serving" / "payments" / str(ran.json["pushed_version"])))
    assert (chosen.rule, chosen.of_binary < 0.5) == ("max_f1", True)
    assert 0.001 < chosen.answered[1] < 0.1
