"""Doctor names what is missing, with its real cause and a remedy."""

import json

from pipeline.environment import bootstrap, doctor


def test_this_environment_is_healthy(capsys):
    status = doctor.main(["--imports-only", "--json"])

    answer = json.loads(capsys.readouterr().out)
    assert (status, answer["healthy"]) == (0, True)
    found = {finding["name"]: finding["found"] for finding in answer["findings"]}
    assert found["tfx"] == "1.21.0"
    assert {found[name] for name in doctor.COMPONENTS} == {"imports"}


def test_a_component_that_does_not_import_shows_its_real_cause(monkeypatch, capsys, tmp_path):
    (tmp_path / "broken_part.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor, "FAMILY", ("not-a-distribution",))
    monkeypatch.setattr(doctor, "COMPONENTS", {"Trainer": "broken_part"})

    status = doctor.main(["--imports-only"])

    out = capsys.readouterr().out
    assert status == 1
    assert "BAD  Trainer" in out
    assert "No module named 'a_library_that_is_not_there'" in out
    assert "-> Run `make install`." in out


def test_a_component_that_is_none_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "hollow_part.py").write_text("Pusher = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor, "FAMILY", ())
    monkeypatch.setattr(doctor, "COMPONENTS", {"Pusher": "hollow_part"})

    (finding,) = doctor.check_imports()

    assert (finding.found, finding.remedy) == ("None", "Run `rm -rf .venv && make install`.")


def test_an_environment_that_is_missing_or_stale_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "complete")
    assert doctor.check_environment().remedy == "Run `make install`."

    (tmp_path / "complete").write_text("another lock")
    assert doctor.check_environment().found == "made from another lock or Python"
