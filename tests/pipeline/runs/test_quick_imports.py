import gc
import subprocess
import sys

import pytest

from pipeline.runs.quick_imports import quick_imports


def test_the_collector_rests_while_tfx_is_imported_and_spares_it_afterwards():
    script = (
        "import gc\n"
        "from pipeline.runs.quick_imports import quick_imports\n"
        "with quick_imports():\n"
        "    print(gc.isenabled())\n"
        "    import tfx.version\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 0)\n"
        "frozen = gc.get_freeze_count()\n"
        "garbage = [object() for _ in range(1000)]\n"
        "with quick_imports():\n"
        "    print(gc.isenabled())\n"
        "print(gc.get_freeze_count() == frozen)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    # A second time, in a process that goes on, nothing more is kept from the collector.
    assert done.stdout.split() == ["False", "True", "True", "True", "True"]


def test_a_collector_that_is_off_stays_off_and_an_error_leaves_it_on(monkeypatch):
    monkeypatch.delitem(sys.modules, "tfx", raising=False)
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(ImportError), quick_imports():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()
