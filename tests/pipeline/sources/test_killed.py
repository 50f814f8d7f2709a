"""A pull that is killed at any step is repeated without a lost or a doubled row."""

import contextlib
import os
import shutil
import signal
import sys

_STEPS = frozenset({"os.mkdir", "os.rename", "os.remove", "fcntl.flock"})


def is_step(event, arguments, folder):
    """Whether Python is about to change something below the folder: make, write, rename, remove or lock a file."""
    if event == "open":
        writes = any(mark in str(arguments[1]) for mark in "wa+x") or arguments[2] & (os.O_WRONLY | os.O_RDWR)
        return bool(writes) and str(folder) in str(arguments[0])
    return event in _STEPS and (event == "fcntl.flock" or str(folder) in str(arguments))


def killed_at(step, folder, work):
    """Runs `work` in a process that kills itself before its step of that number in `folder`; returns how it ended."""
    child = os.fork()
    if child == 0:
        steps = 0

        def hook(event, arguments):
            nonlocal steps
            if is_step(event, arguments, folder):
                steps += 1
                if steps == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        with contextlib.suppress(BaseException):
            sys.addaudithook(hook)
            os._exit(work())
        os._exit(99)
    return os.waitpid(child, 0)[1]


def test_a_pull_killed_at_any_step_is_repeated_without_a_lost_or_doubled_row(shop):
    """January is there and gets a late row, February has none, March is new."""
    shop.pull("--span", 1)
    shop.sell((5, "2024-01-15", 50.0, 0))
    shutil.copytree(shop.root, shop.folder / "before")
    expected = {"span-1/v1": [1, 2], "span-1/v2": [1, 2, 5], "span-3/v1": [3]}
    killed = 0
    for step in range(1, 100):
        shutil.rmtree(shop.root)
        shutil.copytree(shop.folder / "before", shop.root)

        status = killed_at(step, shop.folder, lambda: shop.pull().status)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break

        assert os.WTERMSIG(status) == signal.SIGKILL
        killed += 1
        assert landed(shop).items() <= expected.items()  # Whatever has its name is whole.
        assert shop.pull().status == 0
        assert landed(shop) == expected
        assert list((shop.root / "data" / ".pull").glob("*.parquet")) == []
    assert killed > 15


def landed(shop):
    """The rows of every file that has its name."""
    found = {}
    for file in shop.files():
        span, version, _ = file.split("/")
        found[f"{span}/{version}"] = sorted(
            row["id"] for row in shop.rows(span.removeprefix("span-"), version.removeprefix("v"))
        )
    return found
