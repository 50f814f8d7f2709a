"""Labels: which versions are loaded, and where `stable` and `canary` point."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from deploy import labels
from tests.helpers import saved_models
from tests.helpers.model_server import launch, stop, wait_for, wait_until


@pytest.fixture
def pushed(tmp_path):
    for version in (10, 20, 30):
        (tmp_path / "taxi" / str(version)).mkdir(parents=True)
        (tmp_path / "taxi" / str(version) / "saved_model.pb").touch()
    (tmp_path / "taxi" / ".pushing-40").mkdir()
    return tmp_path / "taxi"


@pytest.fixture
def run(pushed, tmp_path, capsys):
    """Runs the script where no server runs; returns its status, and what it wrote and printed."""

    def run(*arguments):
        output = tmp_path / "rendered" / "models.config"
        common = ["--pushed", str(pushed), "--output", str(output), "--server", "http://127.0.0.1:9"]
        status = labels.main([*arguments, *common])
        config = text_format.Parse(output.read_text(), ModelServerConfig()) if output.exists() else None
        return status, config, capsys.readouterr()

    return run


def entry(config):
    (model,) = config.model_config_list.config
    return sorted(model.model_version_policy.specific.versions), dict(model.version_labels)


def test_at_first_both_labels_are_the_newest_version(run):
    status, config, printed = run()

    assert status == 0
    assert entry(config) == ([30], {"stable": 30, "canary": 30})
    assert printed.out == "stable 30\ncanary 30\n"


def test_a_new_version_is_canary_until_it_is_promoted(run, pushed):
    run("--stable", "20")
    (pushed / "50").mkdir()
    (pushed / "50" / "saved_model.pb").touch()

    _, config, printed = run()
    assert entry(config) == ([20, 50], {"stable": 20, "canary": 50})
    assert "canary 50 (was 30)" in printed.out

    _, config, printed = run("--stable", "canary")
    assert entry(config) == ([50], {"stable": 50, "canary": 50})
    assert "stable 50 (was 20)" in printed.out


def test_where_no_server_runs_it_says_so(run):
    run()
    _, _, printed = run("--stable", "10")

    assert "No server at http://127.0.0.1:9; the labels count from its next start." in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stable", "11"], "error: stable: 11 is not a pushed version. Found: 10, 20, 30;"),
        (["--canary", "best"], "error: canary: best is not a pushed version."),
        (["--stable", "40"], "error: stable: 40 is not a pushed version."),
        (["--model", "flights"], "error: The base configuration has no model 'flights'. Found: taxi."),
        (["--base", "/none"], "error: /none cannot be read: No such file or directory."),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(run, arguments, message):
    status, config, printed = run(*arguments)

    assert (status, config) == (2, None)
    assert message in printed.err


def test_a_damaged_configuration_is_named(run, tmp_path):
    broken = tmp_path / "broken.config"
    broken.write_text("model_config_list { config { nam: 1 } }")

    status, _, printed = run("--base", str(broken))

    assert status == 2
    assert "broken.config is not a ModelServerConfig: 1:30" in printed.err


def test_a_running_server_loads_a_version_before_a_label_moves_to_it(tmp_path, capsys):
    saved_models.save(tmp_path / "m" / "1", 2.0, "serving_default")
    base, output = tmp_path / "base.config", tmp_path / "rendered" / "models.config"
    base.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path}/m" model_platform: "tensorflow" }} }}'
    )

    def move(*arguments, server="http://127.0.0.1:9"):
        common = ["--model", "m", "--pushed", str(tmp_path / "m"), "--base", str(base), "--output", str(output)]
        return labels.main([*arguments, *common, "--server", server])

    assert move() == 0
    options = ("--model-config-file", str(output), "--model-config-file-poll-seconds", "0.1", "--poll-seconds", "0.1")
    server = wait_for(launch(tmp_path, *options, "--allow-version-labels-for-unavailable-models"))

    def answers(label):
        return server.predict({"instances": [1.0]}, f"m/labels/{label}").json["predictions"]

    try:
        assert (answers("stable"), answers("canary")) == ([2.0], [2.0])
        saved_models.save(tmp_path / "m" / "2", 3.0, "serving_default")
        assert move(server=server.url) == 0
        # The label moved in the file; the server reads it in a tenth of a second.
        wait_until(lambda: answers("canary") == [3.0])
        assert answers("stable") == [2.0]

        (tmp_path / "m" / "3").mkdir()
        (tmp_path / "m" / "3" / "saved_model.pb").write_bytes(b"no graph")
        capsys.readouterr()
        assert move("--timeout", "2", server=server.url) == 1
        assert "did not load version 3 of m in 2 s (last state: END)" in capsys.readouterr().err
        assert (answers("stable"), answers("canary")) == ([2.0], [3.0])

        assert move("--stable", "canary", server=server.url) == 0
        wait_until(lambda: answers("stable") == [3.0])
    finally:
        stop(server)
