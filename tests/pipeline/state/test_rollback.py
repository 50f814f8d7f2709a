"""An earlier version becomes live again as a new version, and back."""

import os
import subprocess
import sys

import pytest

from pipeline.errors import ConfigError, PipelineError
from pipeline.state import version_folder
from pipeline.state.rollback import roll_back, undo, versions
from pipeline.state.version_folder import pushed_versions
from tests.helpers.versions import add


@pytest.fixture
def serving(tmp_path):
    add(tmp_path / "serving", 10, [1, 2])
    add(tmp_path / "serving", 20, [2, 3])
    add(tmp_path / "serving", 30, [3, 4])
    return tmp_path / "serving"


def graph(folder):
    return (folder / "saved_model.pb").read_text()


def test_the_version_before_becomes_the_newest_whole(serving):
    made = roll_back(serving, now=100)

    assert made == serving / "100"
    assert pushed_versions(serving) == [10, 20, 30, 100]
    assert graph(made) == "20"
    assert version_folder.live_training(serving).window == (2, 3)
    assert version_folder.read_rollback(made) == version_folder.Rollback(
        origin=20, instead_of=30, undoes=None, withdrawn_spans=(4,), made_at=100
    )
    # A link, not a copy: it takes no room.
    assert os.path.samefile(made / "saved_model.pb", serving / "20" / "saved_model.pb")


def test_again_and_again_goes_further_back_and_never_in_a_circle(serving):
    roll_back(serving, now=100)
    second = roll_back(serving, now=101)

    assert graph(second) == "10"
    assert version_folder.read_rollback(second).instead_of == 100
    assert version_folder.live_training(serving).withdrawn == (3, 4)
    with pytest.raises(ConfigError, match=r"No version was pushed before 10, which is live\. Pushed: 10, 20, 30, 100"):
        roll_back(serving, now=102)


def test_any_pushed_version_can_be_named_also_a_rollback(serving):
    roll_back(serving, now=100, to=10)
    roll_back(serving, now=101, to=30)
    made = roll_back(serving, now=102, to=100)

    assert graph(made) == "10"
    assert version_folder.read_rollback(made).origin == 10
    # The record of version 100, of which the others are links, is its own.
    assert version_folder.read_rollback(serving / "100").instead_of == 30


def test_undo_makes_live_what_was_live_before(serving):
    roll_back(serving, now=100, to=10)
    made = undo(serving, now=101)

    assert graph(made) == "30"
    assert version_folder.read_rollback(made) == version_folder.Rollback(
        origin=30, instead_of=100, undoes=100, withdrawn_spans=(), made_at=101
    )
    assert versions(serving)[-1].origin == 30


def test_undo_of_a_second_rollback_leaves_the_first(serving):
    roll_back(serving, now=100)
    roll_back(serving, now=101)
    made = undo(serving, now=102)

    assert graph(made) == "20"
    assert version_folder.live_training(serving).withdrawn == (4,)


def test_a_version_within_the_same_second_is_still_the_newest(serving):
    assert roll_back(serving, now=30).name == "31"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda serving: roll_back(serving, 100, to=11), r"--to: there is no version 11\. Pushed: 10, 20, 30\."),
        (lambda serving: roll_back(serving, 100, to=30), "the model of version 30 is live already, as version 30"),
        (lambda serving: undo(serving, 100), "the live version, 30, was not made by a rollback"),
        (lambda serving: roll_back(serving / "none", 100), "Nothing has been pushed to"),
        (lambda serving: undo(serving / "none", 100), "nothing has been pushed"),
    ],
)
def test_what_cannot_be_done_changes_nothing(serving, act, message):
    with pytest.raises(ConfigError, match=message):
        act(serving)

    assert sorted(os.listdir(serving)) == ["10", "20", "30"]


def test_an_undo_is_not_undone_and_what_is_gone_is_said(serving):
    roll_back(serving, now=100)
    undo(serving, now=101)
    with pytest.raises(ConfigError, match="the live version, 101, was not made by a rollback"):
        undo(serving, now=102)
    roll_back(serving, now=103)
    subprocess.run(["rm", "-r", str(serving / "101")], check=True)
    with pytest.raises(ConfigError, match="version 101, which was live before, is gone"):
        undo(serving, now=104)


def test_a_damaged_record_is_named(serving):
    made = roll_back(serving, now=100)
    (made / version_folder.ROLLBACK_FILE).write_text("{")

    with pytest.raises(PipelineError, match=r"100/assets.extra/rollback.json is not the record of a rollback"):
        undo(serving, now=101)


def test_without_links_the_files_are_copied(serving, monkeypatch):
    def refuse(source, target):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("pipeline.files.os.link", refuse)

    assert graph(roll_back(serving, now=100)) == "20"


ON_AND_ON = """
import sys
from pathlib import Path
from pipeline.state.rollback import roll_back, undo
for now in range(1000, 9000, 2):
    roll_back(Path(sys.argv[1]), now)
    undo(Path(sys.argv[1]), now + 1)
"""


@pytest.mark.parametrize("visible", [5, 8])
def test_a_rollback_killed_at_any_moment_leaves_whole_versions_that_say_what_they_are(serving, visible):
    with subprocess.Popen([sys.executable, "-c", ON_AND_ON, str(serving)]) as process:
        while len(pushed_versions(serving)) < visible:
            assert process.poll() is None
        process.kill()

    found = versions(serving)
    assert len(found) >= visible
    for version in found[3:]:
        assert version.rollback is not None
        assert graph(serving / str(version.number)) == str(version.origin)
        assert len(list((serving / str(version.number)).rglob("*.*"))) == 4
    # And the next one works.
    roll_back(serving, now=10_000, to=10)
    assert graph(serving / "10000") == "10"
