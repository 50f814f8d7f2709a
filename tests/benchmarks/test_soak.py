"""What the soak measures."""

import os
import subprocess

from benchmarks import soak, tiny_dataset


def test_a_file_with_two_names_is_counted_once(tmp_path):
    (tmp_path / "one").write_bytes(b"x" * 8192)
    os.link(tmp_path / "one", tmp_path / "two")

    assert soak.usage(tmp_path) == (8192, 1)


def test_growth_is_the_last_fifth_over_the_second():
    seen = [{"bytes": value} for value in (1, 1, 2, 4, 5, 5, 5, 5, 9, 15)]

    # (9 + 15) / 2 over (2 + 4) / 2: the first fifth, when little is there yet, does not count.
    assert soak.grown(seen, "bytes") == 4.0


def test_a_process_that_names_the_folder_is_seen(tmp_path):
    assert soak.processes_of(tmp_path) == []
    with subprocess.Popen(["sleep", "60"], env={"TMPDIR": str(tmp_path)}) as process:
        try:
            assert soak.processes_of(tmp_path) == [process.pid]
        finally:
            process.kill()


def test_a_span_is_the_same_text_whenever_it_is_asked_for():
    assert tiny_dataset.span_text(3) == tiny_dataset.span_text(3)
    assert tiny_dataset.span_text(3) != tiny_dataset.span_text(3, version=2)
    assert len(tiny_dataset.span_text(3).splitlines()) == 1 + tiny_dataset.ROWS
