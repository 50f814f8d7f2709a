import mmap
import re
import sys

import pytest

from serving.servables.start_up_pages import give_back

PAGES = 64


@pytest.mark.skipif(sys.platform != "linux", reason="what is given back is a matter of Linux")
def test_code_that_was_touched_is_given_back_and_read_again(tmp_path):
    content = bytes(range(256)) * (PAGES * mmap.PAGESIZE // 256)
    for name in ("libwanted.so.2", "libother.so"):
        (tmp_path / name).write_bytes(content)
    mapped = {}
    for name in ("libwanted.so.2", "libother.so"):
        with (tmp_path / name).open("rb") as file:
            mapped[name] = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
        assert mapped[name][:] == content
    assert resident(tmp_path / "libwanted.so.2") > 0

    assert give_back(("libwanted",)) == PAGES * mmap.PAGESIZE

    assert resident(tmp_path / "libwanted.so.2") == 0
    assert resident(tmp_path / "libother.so") > 0
    assert mapped["libwanted.so.2"][:] == content
    assert give_back(("libabsent",)) == 0


def resident(path):
    """Bytes of a mapped file that are in this process's memory."""
    with open("/proc/self/smaps", encoding="utf-8") as file:
        entry = file.read().split(str(path))[1]
    return int(re.search(r"^Rss:\s+(\d+) kB", entry, re.MULTILINE)[1]) * 1024
