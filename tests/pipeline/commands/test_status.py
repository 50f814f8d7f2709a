"""What `status` shows of versions that a person made."""

import pytest

import local_runner


@pytest.mark.parametrize("version", ["1700000000000", "99999999999999999999"])
def test_a_version_that_is_no_time_in_seconds_is_shown(tmp_path, capsys, version):
    (tmp_path / "serving" / "taxi" / version).mkdir(parents=True)

    assert local_runner.main(["status", "--root", str(tmp_path)]) == 0

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == [version]]
    assert "not a time" in line
    assert "live" in line
