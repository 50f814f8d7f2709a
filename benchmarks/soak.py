"""Does `watch` process every span once, and stay as small as it began, whatever happens to it?

Spans arrive one after the other in a folder that a watcher looks at. At random moments, by a seed, the watcher is
killed with SIGKILL and started again, and its clock of the day is set up to two hours ahead or back (it needs a C
compiler, see wandering_clock.py). One span is corrected, one is written slowly in its place, and
during the run of another the disk becomes full (a tmpfs, for which one must be root). At the end: each span came to its
end once and whole; the memory of the watcher and of the retrainings, descriptors and the root did not grow; no process,
temporary file or half version was left. Writes benchmarks/results/soak.json and the table in docs/retention.md.

    python -m benchmarks.soak [--spans 50] [--seed 1]
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks import pages, tiny_dataset
from benchmarks.wandering_clock import WanderingClock
from pipeline.config.dataset import load_dataset
from pipeline.ingest import spans as span_files
from pipeline.runs import records
from pipeline.state import backlog, version_folder
from pipeline.state.root import Root

RESULTS = pages.RESULTS / "soak.json"
PATTERN = "span-{SPAN}/v{VERSION}/data.csv"
KILLED_SHARE = 0.4
LATEST_KILL_S = 4.0
LONGEST_SPAN_S = 300.0
LONGEST_FAILURE_S = 120.0
DISK_BYTES = 300_000_000
BLOCK = 65_536
FARTHEST_CLOCK_S = 7_200
SLOW_PARTS, SLOW_PAUSE_S = 8, 0.3
KEPT_RUNS = 5
RETENTION = f"""
[retention]
artifacts = {KEPT_RUNS}
runs = {KEPT_RUNS}
versions = {KEPT_RUNS}
reports = {KEPT_RUNS}
logs = {KEPT_RUNS}
"""


class Watcher:
    """`watch` on one root, with its temporary files in a folder of their own."""

    def __init__(self, folder: Path, root: Root, clock: WanderingClock) -> None:
        self._environment = {**os.environ, **clock.environment, "TMPDIR": str(folder / "tmp")}
        self._log = folder / "watch.txt"
        self._command = [
            *(sys.executable, "local_runner.py", "watch", "--dataset", str(folder / "dataset"), "--poll", "0.5"),
            *("--root", str(root.path), "--data-root", str(folder / "data"), "--tries", "1000"),
        ]
        self.peak_bytes = 0
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=pages.REPOSITORY,
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait()

    def alive(self) -> bool:
        return self._process.poll() is None

    def failures(self) -> int:
        return self._log.read_text().count(" failed (try ")

    def look_at_children(self) -> None:
        """Remembers the most memory that a process of a run has been seen to hold."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    self.peak_bytes = max(self.peak_bytes, child.memory_info().rss)

    def measure(self) -> tuple[int, int]:
        """Returns the resident set in bytes and the number of descriptors."""
        pid = self._process.pid
        pages_resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages_resident * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mounts a small file system on the folder; yields whether that could be done."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            # Lazily: what a killed watcher had started may need a moment to end.
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def unprocessed(root: Root, data: Path) -> Iterator[backlog.Waiting]:
    """Yields what the watcher has still to do."""
    dataset = load_dataset(str(data.parent / "dataset"))
    listed = span_files.newest_versions(str(data), PATTERN, "")
    return backlog.unprocessed(root, root.serving(tiny_dataset.NAME), listed, dataset.thresholds)


def wait_until_done(watcher: Watcher, root: Root, data: Path, until: float) -> bool:
    """Waits until nothing is unprocessed, or until a moment (`time.monotonic`); returns whether all is done."""
    while time.monotonic() < until:
        if not watcher.alive():
            raise SystemExit("The watcher has ended by itself.")
        if next(unprocessed(root, data), None) is None:
            return True
        watcher.look_at_children()
        time.sleep(0.1)
    return False


def fill_disk(root: Root, watcher: Watcher) -> None:
    """Leaves no room on the disk while a run is at work, and makes room again once that has failed."""
    before = watcher.failures()
    until = time.monotonic() + LONGEST_FAILURE_S
    while not (root.path / records.BEGUN).exists() and time.monotonic() < until and watcher.alive():
        time.sleep(0.01)
    ballast = root.path / "ballast"
    try:
        while watcher.failures() == before and time.monotonic() < until and watcher.alive():
            # Again and again: a file that is removed makes room.
            with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
                while file.write(b"\0" * BLOCK):
                    pass
            time.sleep(0.01)
    finally:
        ballast.unlink()
    if not watcher.alive():
        watcher.start()


def usage(folder: Path) -> tuple[int, int]:
    """Returns bytes and inodes below a folder, each inode once."""
    blocks = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            blocks[status.st_ino] = status.st_blocks * 512
    return sum(blocks.values()), len(blocks)


def processes_of(folder: Path) -> list[int]:
    """Returns the processes whose command or directory for temporary files names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if str(folder).encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def soak(spans: int, seed: int, folder: Path) -> dict[str, Any]:  # Any: JSON.
    """Runs the whole soak and returns what was seen."""
    chance = random.Random(seed)
    data, root = folder / "data", Root(folder / "root")
    for path in (data, root.path, folder / "tmp"):
        path.mkdir()
    tiny_dataset.write_dataset(folder / "dataset", RETENTION)
    corrected_at, full_at, slow_at = max(spans // 2, 2), max(spans // 3, 2), max(spans // 4, 1)
    clock = WanderingClock(folder / "clock")
    kills = 0
    seen: list[dict[str, Any]] = []
    with small_disk(root.path) as mounted, Watcher(folder, root, clock) as watcher:
        for span in range(1, spans + 1):
            started = time.monotonic()
            watcher.peak_bytes = 0
            # The kernel's times of a file that is being written do not wander with it.
            offset = 0 if span == slow_at else chance.randint(-FARTHEST_CLOCK_S, FARTHEST_CLOCK_S)
            clock.set(offset)
            if span == slow_at:
                tiny_dataset.write_span_slowly(data, span, SLOW_PARTS, lambda: time.sleep(SLOW_PAUSE_S))
            else:
                tiny_dataset.write_span(data, span)
            if span == full_at and mounted:
                fill_disk(root, watcher)
            if span == corrected_at:
                tiny_dataset.write_span(data, span - 1, version=2)
            killed = False
            if span != full_at and chance.random() < KILLED_SHARE:
                moment = time.monotonic() + chance.uniform(0.2, LATEST_KILL_S)
                killed = not wait_until_done(watcher, root, data, moment)
            if killed:
                watcher.kill()
                watcher.start()
                kills += 1
            if not wait_until_done(watcher, root, data, time.monotonic() + LONGEST_SPAN_S):
                raise SystemExit(f"Span {span} was not processed in {LONGEST_SPAN_S:.0f} s. See {folder}/watch.txt.")
            seconds = time.monotonic() - started
            memory, descriptors = watcher.measure()
            size, inodes = usage(root.path)
            seen.append(
                {
                    "span": span,
                    "killed": killed,
                    "clock_off_seconds": offset,
                    "seconds": round(seconds, 1),
                    "watcher_memory_bytes": memory,
                    "run_memory_bytes": watcher.peak_bytes,
                    "watcher_descriptors": descriptors,
                    "root_bytes": size,
                    "root_inodes": inodes,
                }
            )
            print(json.dumps(seen[-1]), flush=True)
        status = watcher.stop()
        return {
            "spans": spans,
            "seed": seed,
            "kills": kills,
            "full_disk": mounted,
            "wandering_clock": clock.wanders,
            "failed_tries": watcher.failures(),
            "watcher_exit_status": status,
            "checks": check(root, data, folder, spans, corrected_at - 1, watcher.failures() if mounted else None),
            "seen": seen,
        }


def check(root: Root, data: Path, folder: Path, spans: int, corrected: int, failures: int | None) -> dict[str, bool]:
    """Returns what must be true at the end.

    Args:
      failures: tries that failed; None where the disk could not be made full.
    """
    serving = root.serving(tiny_dataset.NAME)
    wanted = {(span, 1) for span in range(1, spans + 1)} | {(corrected, 2)}
    decided = {(line.decision.evidence.span, line.decision.evidence.version) for line in records.read_decisions(root)}
    rows = {line.decision.evidence.rows for line in records.read_decisions(root)}
    pushes = [run for run in records.read_runs(root) if run.version is not None]
    of_span = Counter(run.span for run in pushes)
    kept = version_folder.pushed_versions(serving)
    temporary = [path for path in (folder / "tmp").rglob("*") if path.is_file() and path.name != "lock"]
    return {
        "every span and version was decided on": decided == wanted,
        "a full disk failed a run": failures is None or failures > 0,
        "every span was read whole": rows == {tiny_dataset.ROWS},
        "nothing waits": next(unprocessed(root, data), None) is None,
        "no span was pushed twice": all(count <= (2 if span == corrected else 1) for span, count in of_span.items()),
        "every push is recorded, and the newest are there": kept
        == sorted({run.version for run in pushes if run.version is not None})[-len(kept) :],
        "only whole versions are there": all((serving / str(number) / "saved_model.pb").is_file() for number in kept),
        "no folder is left over": not root.trash.exists() and not list(serving.glob(".*")),
        "no temporary file is left over": not temporary,
        "no process is left over": processes_of(folder) == [],
    }


def grown(seen: list[dict[str, Any]], what: str) -> float:
    """Returns the mean over the last fifth of the spans as a multiple of that over the second fifth."""
    fifth = max(len(seen) // 5, 1)
    early, late = seen[fifth : 2 * fifth] or seen[:1], seen[-fifth:]
    return round((sum(item[what] for item in late) / len(late)) / (sum(item[what] for item in early) / len(early)), 3)


def table(result: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the table of docs/retention.md."""
    seen = result["seen"]
    shown = sorted({min(index, len(seen) - 1) for index in (0, len(seen) // 5, len(seen) // 2, len(seen) - 1)})
    rows = [
        (
            str(seen[index]["span"]),
            f"{seen[index]['watcher_memory_bytes'] / 1e6:,.0f}",
            f"{seen[index]['run_memory_bytes'] / 1e6:,.0f}",
            str(seen[index]["watcher_descriptors"]),
            f"{seen[index]['root_bytes'] / 1e6:.1f}",
            f"{seen[index]['root_inodes']:,}",
        )
        for index in shown
    ]
    columns = (
        "after span",
        "watcher's memory, MB",
        "most of a run, MB",
        "its descriptors",
        "root, MB",
        "files and folders",
    )
    return pages.markdown(columns, rows)


def main() -> int:
    """Runs the soak. Exit status: 0 everything held, 1 something did not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spans", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        result = soak(args.spans, args.seed, Path(name))
    measured = (
        "watcher_memory_bytes",
        "run_memory_bytes",
        "watcher_descriptors",
        "root_bytes",
        "root_inodes",
        "seconds",
    )
    result["grown"] = {what: grown(result["seen"], what) for what in measured}
    result["environment"] = pages.environment("tfx", "tensorflow")
    RESULTS.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    pages.write_table(pages.DOCS / "retention.md", "soak", table(result))
    print(json.dumps({name: result[name] for name in ("checks", "grown", "kills", "failed_tries")}, indent=1))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
