"""Tables and progress: whole figures, plain lines in a pipe, silence where `--json` wants it."""

import io

from pipeline.commands.terminal import Terminal, shown


def test_cells_read_as_people_write_them():
    assert [shown(cell) for cell in (1234567, 0.12345, 12.3456, 0.0, True, None, "x")] == [
        *("1,234,567", "0.1235", "12.35", "0", "yes", "-", "x")
    ]


def test_a_table_in_a_pipe_is_plain_text_with_figures_to_the_right():
    out = io.StringIO()

    Terminal(out, io.StringIO()).table("Title", ("name", "rows"), [("a", 5), ("bcd", 12_000)])

    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "",
        "Title",
        "name    rows",
        "a          5",
        "bcd   12,000",
    ]


def test_values_of_the_data_are_no_markup():
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out, err)

    terminal.table("of [/]", ("n/a [/]", "[red]"), [("n/a [/]", "[bold]x"), (":smile:", "\x1b[2J\n\0")])
    terminal.say("[/] :smile:")
    terminal.say("a \x1b]0;title\x07 b\r")
    terminal.note("[/b] [link=x]")
    terminal.err.print("\x1b[31mred")

    assert [line.split() for line in out.getvalue().splitlines()] == [
        [],
        ["of", "[/]"],
        ["n/a", "[/]", "[red]"],
        ["n/a", "[/]", "[bold]x"],
        [":smile:", r"\x1b[2J\n\x00"],
        ["[/]", ":smile:"],
        ["a", r"\x1b]0;title\x07", r"b\r"],
    ]
    assert err.getvalue() == "[/b] [link=x]\n\\x1b[31mred\n"


def test_a_long_value_does_not_push_the_figures_off_the_table():
    out = io.StringIO()

    Terminal(out, io.StringIO()).table("Title", ("value", "rows"), [("x" * 3000, 5)])

    assert out.getvalue().splitlines()[-1] == "x" * 79 + "…     5"


def test_a_narrow_terminal_breaks_no_command(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "40")
    out, command = Screen(), "Next: python local_runner.py run --dataset a-folder --root another-folder"

    Terminal(out, io.StringIO()).say(command)

    assert out.getvalue() == f"{command}\n"


def test_quiet_leaves_standard_output_alone_and_keeps_the_progress():
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out, err, quiet=True)

    terminal.say("x")
    terminal.note("progress")
    terminal.table("Title", ("name",), [("a",)])
    with terminal.doing("Trainer"):
        pass

    assert (out.getvalue(), err.getvalue()) == ("", "progress\n")


def test_progress_in_a_pipe_is_plain_lines():
    err = io.StringIO()
    terminal = Terminal(io.StringIO(), err)

    with terminal.doing("Trainer"):
        pass
    terminal.note("  Trainer ran")

    assert err.getvalue() == "  Trainer ran\n"
