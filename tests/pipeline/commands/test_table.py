"""The table of a runner: only the named command is loaded, and all of them are listed."""

import pytest

import kubeflow_runner
import local_runner


@pytest.mark.parametrize("runner", [local_runner.RUNNER, kubeflow_runner.RUNNER], ids=lambda runner: runner.prog)
def test_the_list_names_every_command_with_its_line(runner, capsys):
    with pytest.raises(SystemExit) as caught:
        runner.main(["--help"])

    assert caught.value.code == 0
    listed = " ".join(capsys.readouterr().out.split())
    for command in runner.commands:
        assert f"{command.name} {command.help}" in listed


def test_without_a_command_usage_is_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        local_runner.main([])

    assert caught.value.code == 2
    assert "required: COMMAND" in capsys.readouterr().err


def test_an_option_before_the_command_is_refused_with_its_name(capsys):
    with pytest.raises(SystemExit) as caught:
        local_runner.main(["--json", "status"])

    assert caught.value.code == 2
    assert "--json" in capsys.readouterr().err
