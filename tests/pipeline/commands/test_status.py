"""What `status` shows of versions that a person made."""

import pytest

import local_runner
from pipeline.state.version_folder import pushed_versions
from tests.helpers.versions import add


@pytest.mark.parametrize("version", ["1700000000000", "99999999999999999999"])
def test_a_version_that_is_no_time_in_seconds_is_shown(tmp_path, capsys, version):
    (tmp_path / "serving" / "taxi" / version).mkdir(parents=True)

    assert local_runner.main(["status", "--root", str(tmp_path)]) == 0

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == [version]]
    assert "not a time" in line
    assert "live" in line


def test_a_version_in_milliseconds_is_rolled_back_as_any_other(tmp_path, capsys):
    serving = tmp_path / "serving" / "taxi"
    for version in (1795530317, 1795530317000):
        add(serving, version, window=(1,))

    assert local_runner.main(["rollback", "--root", str(tmp_path)]) == 0
    assert local_runner.main(["rollback", "--undo", "--root", str(tmp_path)]) == 0

    # Each rollback is a version above all that are there.
    assert pushed_versions(serving) == [1795530317, 1795530317000, 1795530317001, 1795530317002]
    assert (serving / "1795530317002" / "saved_model.pb").read_text() == "1795530317000"
    assert local_runner.main(["status", "--root", str(tmp_path)]) == 0


def test_a_folder_whose_name_is_a_number_in_other_letters_is_no_version(tmp_path):
    (tmp_path / "serving" / "taxi" / "\N{ARABIC-INDIC DIGIT THREE}").mkdir(parents=True)

    assert local_runner.main(["status", "--root", str(tmp_path)]) == 0
