"""Following a run to its end."""

import pytest

from pipeline.kubeflow.submit.follow import MAX_LOST_ANSWERS, RunState, UnreachableError, follow


def play(*answers):
    """Follows a run whose backend answers so; returns the outcome, what was said, and the waits."""
    said, waits, left = [], [], list(answers)

    def ask():
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return follow(ask, poll_s=7.0, say=said.append, sleep=waits.append), said, waits


def test_each_new_state_is_said_once():
    first = RunState(state="running", tasks={"ExampleGen": "RUNNING"})
    last = RunState(state="succeeded", tasks={"ExampleGen": "SUCCEEDED", "Trainer": "SKIPPED"})

    outcome, said, waits = play(first, first, last)

    assert outcome == ("done", last)
    assert [line.split() for line in said] == [
        ["ExampleGen", "RUNNING"],
        ["ExampleGen", "SUCCEEDED"],
        ["Trainer", "SKIPPED"],
    ]
    assert waits == [7.0, 7.0]


def test_lost_answers_are_forgiven_but_not_for_ever():
    lost = UnreachableError("gone")
    running, done = RunState(state="running"), RunState(state="succeeded")

    outcome, said, _ = play(*[lost] * (MAX_LOST_ANSWERS - 1), running, lost, done)
    assert outcome == ("done", done)
    assert said[0] == "  no answer (gone); asking again"

    with pytest.raises(UnreachableError):
        play(*[lost] * MAX_LOST_ANSWERS)


@pytest.mark.parametrize(
    ("state", "failed", "result", "status"),
    [
        ("succeeded", (), "done", 0),
        ("failed", ("RefuseSpan",), "refused", 3),
        ("failed", ("RefuseSpan", "Trainer"), "failed", 1),
        ("failed", (), "failed", 1),
        ("cancelled", (), "killed", 1),
    ],
)
def test_the_backends_state_is_a_result_as_of_a_run_here(state, failed, result, status):
    ended = RunState(state=state, failed=failed).result

    assert (ended, ended.exit_status) == (result, status)


def test_a_run_at_work_has_no_result():
    assert RunState(state="running").result is None
