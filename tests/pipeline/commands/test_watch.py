"""A watcher that waits for spans is in nobody's way."""

import os
import signal
import threading
import time

import local_runner
from pipeline.errors import RootBusyError
from pipeline.state.root import Root


def test_the_root_is_free_while_there_is_nothing_to_do(tmp_path):
    (tmp_path / "spans").mkdir()
    taken = threading.Event()

    def take_the_root():
        deadline = time.monotonic() + 60
        while not taken.is_set() and time.monotonic() < deadline:
            try:
                # Its process id is in the lock, so the watcher has begun.
                if (tmp_path / "root" / "lock").read_text():
                    with Root(tmp_path / "root").locked():
                        taken.set()
            except (RootBusyError, FileNotFoundError):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=take_the_root)
    thread.start()
    status = local_runner.main(
        ["watch", "--root", str(tmp_path / "root"), "--data-root", str(tmp_path / "spans"), "--poll", "60"]
    )
    thread.join()

    assert status == 0
    assert taken.is_set()
