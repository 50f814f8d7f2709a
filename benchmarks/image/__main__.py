"""Do the instructions of deploy/Dockerfile, performed one by one, give an image in which the pipeline runs?

    sudo python -m benchmarks.image [--extras "vertex flights"] [--keep FOLDER]

There may be no container engine where this runs, so it does what one would: it reads the Dockerfile itself and performs
its FROM, ARG, ENV, WORKDIR, COPY, USER and RUN instructions in root folders that debootstrap makes from Debian's
archive, in mount and process namespaces of their own. An instruction that it does not know is an error, so the two
cannot drift apart. Then it starts the image as `docker run` would, as the image's own user: the pipeline on taxi, the
container entry point of TFX's tasks, a Beam worker pool, and the model server, its health check and its SIGTERM.
Needs root on Debian or Ubuntu; debootstrap is installed where it is missing. Results: benchmarks/results/image.json.

What differs from a container engine: the base is debootstrap's minimal variant rather than the published slim image
(the same packages, with their manual pages), layers are not kept, resource limits and seccomp are the machine's, and
the network, name resolution and certificate authorities are the machine's too.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.image.build import Build, make_base, make_context
from benchmarks.image.checks import checks
from benchmarks.image.dockerfile import DOCKERFILE, read_dockerfile
from benchmarks.pages import write_table

RESULTS = pages.RESULTS / "image.json"
PAGE = pages.DOCS / "image.md"


def table(result: Mapping[str, Any]) -> str:
    """Returns the docs' table."""
    run, serve = result["run"], result["serve"]
    health = f"health check content after {serve['healthy_after_seconds']} s"
    rows = [
        ("base", f"Debian {result['debian']}, Python {result['python']}, glibc {result['glibc']}, TFX {result['tfx']}"),
        ("instructions performed", f"{len(result['instructions'])}, extras: {result['extras'] or 'none'}"),
        ("size of the root folder", f"{result['size_mb']:,} MB"),
        ("user", f"{result['user']}; writes to /app/runs only, of what is below /app"),
        ("importable from `/`", ", ".join(f"`{name}`" for name in result["importable_from_anywhere"])),
        ("entry points that start in `/tmp`", ", ".join(f"`{name}`" for name in result["entry_points"])),
        ("`run` on taxi", f"{run['result']}, span {run['span']}, AUC {run['auc']}, {run['seconds']} s"),
        ("`serve`", f"{health}; status after SIGTERM {serve['status_after_sigterm']}"),
    ]
    return "\n".join(["| what | seen |", "|---|---|", *(f"| {what} | {seen} |" for what, seen in rows)])


@contextlib.contextmanager
def workplace(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        yield Path(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 the image does what docs/image.md says, 2 not root."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extras", help="the build argument EXTRAS (default: the Dockerfile's)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work there and leave it; a base made before is used again"
    )
    parser.add_argument("--again", action="store_true", help="only use the image that --keep has left")
    args = parser.parse_args(argv)
    if os.geteuid() != 0:
        print("error: namespaces and debootstrap need root", file=sys.stderr)
        return 2
    with workplace(args.keep) as folder:
        base = folder / "base"
        if not (base / "etc" / "debian_version").exists():
            make_base(base)
        if not args.again:
            for name in ("context", "build", "image"):
                shutil.rmtree(folder / name, ignore_errors=True)
            make_context(folder / "context")
        build = Build(folder, base, folder / "context", {"EXTRAS": args.extras} if args.extras else {})
        performed = []
        for instruction in read_dockerfile(DOCKERFILE.read_text(encoding="utf-8")):
            print(f"line {instruction.line}: {instruction.word} {instruction.rest[:90]}", file=sys.stderr, flush=True)
            if not (args.again and instruction.word in ("COPY", "RUN")):
                build.perform(instruction)
            performed.append(f"{instruction.line} {instruction.word}")
        image = build.stages["image"]
        size = subprocess.run(["du", "-sx", "--block-size=1M", image.root], capture_output=True, text=True, check=True)
        result = {
            "debian": (base / "etc" / "debian_version").read_text().strip(),
            "extras": build.stages["build"].args["EXTRAS"],
            "instructions": performed,
            "size_mb": int(size.stdout.split()[0]),
            "labels": image.labels,
            **checks(image),
        }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    write_table(PAGE, "image", table(result))
    print(json.dumps({key: value for key, value in result.items() if key != "instructions"}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
