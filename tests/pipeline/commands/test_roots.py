"""Where runs live: below the dataset's folder, never in another dataset's root, and where older releases began them."""

import json
import os
import shutil
from pathlib import Path

import pytest

import local_runner
from pipeline.commands import options
from pipeline.config.dataset import load_dataset
from pipeline.state import owner
from pipeline.state.root import Root

TEXT = 'name = "{name}"\n[label]\ncolumn = "y"\n[features]\nnumeric = ["x"]\n[serving]\nmodel_name = "m"\n'


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options._say.cache_clear()


def dataset(folder, name="loans"):
    Path(folder).mkdir(parents=True)
    (Path(folder) / "dataset.toml").write_text(TEXT.format(name=name))
    return Path(folder)


def status(capsys, *words):
    """The exit status of `status`, the root that it looked at, and what it said on standard error."""
    code = local_runner.main(["status", "--json", *map(str, words)])
    out, err = capsys.readouterr()
    value = json.loads(out) if out else {}
    return code, value.get("root"), err


def claimed(path, dataset_file, name="loans"):
    root = Root(Path(path).absolute())
    root.prepare()
    owner.claim(root, name, Path(dataset_file))
    return root


def test_runs_live_below_the_datasets_folder_whichever_way_it_is_named(tmp_path, capsys, monkeypatch):
    dataset("data/loans")
    expected = str(tmp_path / "data" / "loans" / "runs")

    assert status(capsys, "--dataset", "data/loans") == (0, expected, "")
    assert status(capsys, "--dataset", "data/loans/dataset.toml") == (0, expected, "")
    monkeypatch.chdir("data/loans")
    assert status(capsys, "--dataset", ".") == (0, expected, "")


def test_a_shipped_datasets_runs_stay_below_the_working_directory(tmp_path, capsys):
    assert status(capsys, "--dataset", "flights") == (0, str(tmp_path / "runs" / "flights"), "")


def test_a_shipped_name_means_what_ships_and_a_path_the_folder(tmp_path, capsys):
    dataset("taxi", "mine")

    code, root, err = status(capsys, "--dataset", "taxi")
    assert (code, root) == (0, str(tmp_path / "runs" / "taxi"))
    assert err == (
        "note: --dataset taxi is the dataset that ships. There is a folder taxi here too: --dataset ./taxi\n"
    )
    assert status(capsys, "--dataset", "./taxi") == (0, str(tmp_path / "taxi" / "runs"), "")


def test_a_root_is_refused_to_another_dataset_and_both_are_named(tmp_path, capsys):
    first, second = dataset("a", "loans"), dataset("b", "cars")
    claimed("shared", first / "dataset.toml", "loans")

    code, _, err = status(capsys, "--dataset", second, "--root", "shared")

    assert code == 2
    assert err == (
        f"error: {tmp_path}/shared holds the runs of 'loans' ({tmp_path}/a/dataset.toml), and b/dataset.toml is "
        "another dataset. Name another folder with --root.\n"
    )


def test_two_releases_of_one_dataset_may_share_the_root_that_is_named(tmp_path, capsys):
    first, second = dataset("releases/1"), dataset("releases/2")
    claimed("shared", first / "dataset.toml")

    assert status(capsys, "--dataset", second, "--root", "shared") == (0, str(tmp_path / "shared"), "")


def test_a_root_alone_names_its_dataset(tmp_path, capsys):
    folder = dataset("loans")
    claimed("elsewhere", folder / "dataset.toml")

    local_runner.main(["status", "--root", "elsewhere", "--json"])

    assert json.loads(capsys.readouterr().out)["dataset"] == "loans"


def test_a_folder_moves_and_is_copied_with_its_runs(tmp_path, capsys):
    folder = dataset("loans")
    claimed("loans/runs", folder / "dataset.toml")

    shutil.copytree("loans", "copy")
    shutil.move("loans", "moved")

    for name in ("copy", "moved"):
        assert status(capsys, "--dataset", name) == (0, str(tmp_path / name / "runs"), "")


def test_runs_that_an_earlier_release_began_are_carried_on_where_they_are(tmp_path, capsys):
    dataset("loans")
    old = Root(tmp_path / "runs" / "loans")
    old.prepare()
    old.metadata.touch()

    code, root, err = status(capsys, "--dataset", "loans")

    assert (code, root) == (0, str(old.path))
    assert err == f"note: the runs are in {old.path}, where an earlier release began them, and stay there\n"


def test_old_runs_that_another_dataset_of_the_name_has_taken_are_left_to_it(tmp_path, capsys):
    first, _ = dataset("a/loans"), dataset("b/loans")
    claimed("runs/loans", first / "dataset.toml").metadata.touch()

    assert status(capsys, "--dataset", "b/loans") == (0, str(tmp_path / "b" / "loans" / "runs"), "")


def test_old_runs_of_a_shipped_name_are_ambiguous(tmp_path, capsys):
    dataset("mine", "taxi")
    old = Root(tmp_path / "runs" / "taxi")
    old.prepare()
    old.metadata.touch()

    code, _, err = status(capsys, "--dataset", "mine")

    assert code == 2
    shipped = load_dataset("taxi").path
    assert f"both {shipped} and mine/dataset.toml have the name 'taxi'" in err
    assert f"--root {old.path}, or --root {tmp_path}/mine/runs." in err


def test_a_damaged_record_is_named(tmp_path, capsys):
    folder = dataset("loans")
    claimed("r", folder / "dataset.toml")
    (tmp_path / "r" / owner.FILE).write_text("{")

    code, _, err = status(capsys, "--dataset", "loans", "--root", "r")

    assert code == 2
    assert f"{tmp_path}/r/dataset.json is damaged" in err


def test_the_record_is_relative_only_inside_the_datasets_folder(tmp_path):
    folder = dataset("loans")

    inside = claimed("loans/runs", folder / "dataset.toml")
    outside = claimed("elsewhere", folder / "dataset.toml")

    assert owner.read(inside) == owner.Owner("loans", os.path.join("..", "dataset.toml"))
    assert owner.read(outside) == owner.Owner("loans", str(tmp_path / "loans" / "dataset.toml"))
