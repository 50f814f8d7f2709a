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
import fnmatch
import json
import os
import shlex
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.pages import REPOSITORY, write_table

DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
RESULTS = pages.RESULTS / "image.json"
PAGE = pages.DOCS / "image.md"
SUITE = "trixie"
# What a machine needs to reach a package index; an engine would be told with --build-arg or its own configuration.
NETWORK = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL")
NETWORK_PREFIXES = ("UV_INDEX", "UV_DEFAULT_INDEX")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
INSIDE = "/run/certificate-authorities.crt"
AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
LIMIT_S = 3_600


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile: its first word, the rest as written on one line, and its line number."""

    word: str
    rest: str
    line: int


def read_dockerfile(text: str) -> list[Instruction]:
    """Returns the instructions; comments go, continued lines are joined.

    Raises:
      ValueError: a here-document, which this reader does not know.
    """
    instructions = []
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if not words:
            first = number
        words.append(line.strip().removesuffix("\\").strip())
        if line.rstrip().endswith("\\"):
            continue
        word, _, rest = " ".join(words).partition(" ")
        if "<<" in rest:
            raise ValueError(f"Dockerfile, line {first}: here-documents are not known")
        instructions.append(Instruction(word.upper(), rest.strip(), first))
        words = []
    return instructions


@dataclass
class Stage:
    """A root folder with what the instructions so far have set for it."""

    root: Path
    args: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    user: str = "0"
    workdir: str = "/"
    labels: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def expand(self, text: str) -> str:
        return string.Template(text).safe_substitute({**self.args, **self.env})

    def pairs(self, text: str) -> dict[str, str]:
        """Returns `name=value ...`; a value keeps its blanks, whether they were quoted or came with a variable."""
        return {name: self.expand(value) for name, _, value in (word.partition("=") for word in shlex.split(text))}

    def identity(self) -> tuple[str, str, str]:
        """Returns the user's number, its group's and its home folder, as the root's own passwd has them."""
        for line in (self.root / "etc" / "passwd").read_text().splitlines():
            name, _, uid, gid, _, home, _ = line.split(":")
            if self.user in (name, uid):
                return uid, gid, home
        return self.user, "0", "/"


class Build:
    """Performs a Dockerfile's instructions."""

    def __init__(self, folder: Path, base: Path, context: Path, build_args: Mapping[str, str]) -> None:
        self.folder = folder
        self.base = base
        self.context = context
        self.build_args = build_args
        self.stages: dict[str, Stage] = {}
        self.stage: Stage | None = None

    def perform(self, instruction: Instruction) -> None:
        """Performs one.

        Raises:
          ValueError: it is not known, or refers to what does not exist.
          subprocess.CalledProcessError: a RUN failed; its output has been printed.
        """
        if instruction.word == "FROM":
            self._from(instruction)
            return
        if self.stage is None or not hasattr(self, f"_{instruction.word.lower()}"):
            raise ValueError(f"Dockerfile, line {instruction.line}: {instruction.word} is not known here")
        getattr(self, f"_{instruction.word.lower()}")(self.stage, instruction.rest)

    def _from(self, instruction: Instruction) -> None:
        image, *name = instruction.rest.split()
        released = (self.base / "etc" / "debian_version").read_text().strip()
        if image != f"debian:{released}-slim":
            raise ValueError(
                f"Dockerfile, line {instruction.line}: {image} is not debian:{released}-slim, the archive's"
            )
        root = self.folder / (name[1] if name else "image")
        if not root.exists():  # As `main` left it, to be used once more.
            subprocess.run(["cp", "-a", "--one-file-system", "--reflink=auto", self.base, root], check=True)
        self.stage = self.stages[name[1] if name else "image"] = Stage(root)

    def _arg(self, stage: Stage, rest: str) -> None:
        name, _, default = rest.partition("=")
        stage.args[name] = self.build_args.get(name, " ".join(shlex.split(default)))

    def _env(self, stage: Stage, rest: str) -> None:
        stage.env |= stage.pairs(rest)

    def _label(self, stage: Stage, rest: str) -> None:
        stage.labels |= stage.pairs(rest)

    def _workdir(self, stage: Stage, rest: str) -> None:
        stage.workdir = rest
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _user(self, stage: Stage, rest: str) -> None:
        stage.user = rest

    def _run(self, stage: Stage, rest: str) -> None:
        enter(stage, ["/bin/sh", "-c", rest], env={**stage.args, **network_environment()}, check=True)

    def _copy(self, stage: Stage, rest: str) -> None:
        words = shlex.split(stage.expand(rest))
        origin = self.context
        if words[0].startswith("--from="):
            origin = self.stages[words.pop(0).removeprefix("--from=")].root
        if words[0].startswith("--"):
            raise ValueError(f"COPY {words[0]} is not known")
        *sources, target = words
        destination = stage.root / os.path.join(stage.workdir, target).lstrip("/")
        if len(sources) > 1 or target.endswith("/"):
            destination.mkdir(parents=True, exist_ok=True)
        for source in sources:
            path = origin / source.strip("/") if source != "." else origin
            into = [f"{path}/.", destination] if path.is_dir() else [path, destination]
            if path.is_dir():
                destination.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--no-preserve=ownership", "--reflink=auto", *map(str, into)], check=True)

    def _volume(self, stage: Stage, rest: str) -> None:
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _expose(self, stage: Stage, rest: str) -> None:
        """Says something to people only."""

    def _healthcheck(self, stage: Stage, rest: str) -> None:
        stage.healthcheck = json.loads(rest.partition("CMD ")[2])

    def _entrypoint(self, stage: Stage, rest: str) -> None:
        stage.entrypoint = json.loads(rest)

    def _cmd(self, stage: Stage, rest: str) -> None:
        stage.cmd = json.loads(rest)


def network_environment() -> dict[str, str]:
    """Returns the variables with which this machine reaches a package index."""
    chosen = {name: value for name, value in os.environ.items() if name in NETWORK or name.startswith(NETWORK_PREFIXES)}
    return chosen | (dict.fromkeys(AUTHORITY_VARIABLES, INSIDE) if AUTHORITIES.exists() else {})


def entering(stage: Stage, command: Sequence[str], *, env: Mapping[str, str], workdir: str | None) -> list[str]:
    """Returns the command that runs `command` as process 1 of new namespaces, in the stage's root, as its user."""
    uid, gid, home = stage.identity()
    variables = {**stage.env, "HOME": home, **env}
    root = shlex.quote(str(stage.root))
    mounts = [
        "set -e",
        "mount --make-rprivate /",
        f"mount -t proc proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        f"mount -t tmpfs tmpfs {root}/run",
        f"touch {root}/etc/resolv.conf",
        f"mount --bind -o ro /etc/resolv.conf {root}/etc/resolv.conf",
    ]
    if AUTHORITIES.exists():
        mounts += [f"touch {root}{INSIDE}", f"mount --bind -o ro {AUTHORITIES} {root}{INSIDE}"]
    inner = f"cd {shlex.quote(workdir or stage.workdir)} && exec " + shlex.join(command)
    words = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "/bin/sh", "-c", inner]
    script = "\n".join([*mounts, f"exec chroot --userspec={uid}:{gid} {root} {shlex.join(words)}"])
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", script]


def enter(
    stage: Stage,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    check: bool,
) -> "subprocess.CompletedProcess[str]":
    """Runs a command in a stage; its output goes to the caller where `check` is false, else to standard error."""
    return subprocess.run(
        entering(stage, command, env=env or {}, workdir=workdir),
        stdout=sys.stderr if check else subprocess.PIPE,
        stderr=sys.stderr if check else subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
        check=check,
    )


def make_context(target: Path) -> None:
    """Copies the build context, less what .dockerignore names.

    Raises:
      ValueError: a pattern that is neither a name at the top nor `**/NAME`.
    """
    patterns = [line for line in (REPOSITORY / ".dockerignore").read_text().split() if not line.startswith("#")]
    if odd := [one for one in patterns if "/" in one.removeprefix("**/") or one.startswith("!")]:
        raise ValueError(f".dockerignore: {odd} are not known")

    def ignored(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == REPOSITORY
        applying = [one.removeprefix("**/") for one in patterns if top or one.startswith("**/")]
        return {name for name in names if any(fnmatch.fnmatch(name, one) for one in applying)}

    shutil.copytree(REPOSITORY, target, ignore=ignored)


def make_base(target: Path) -> None:
    """Has debootstrap make Debian's minimal system, from the archive that this machine's apt uses."""
    if shutil.which("debootstrap") is None:
        subprocess.run(["apt-get", "update", "--quiet"], check=True, stdout=sys.stderr)
        subprocess.run(["apt-get", "install", "--yes", "debootstrap"], check=True, stdout=sys.stderr)
    from pipeline.environment import bootstrap

    codename = next(
        line[17:] for line in Path("/etc/os-release").read_text().splitlines() if line.startswith("VERSION_CODENAME=")
    )
    uri = bootstrap.archive_uri(codename.strip('"'))
    subprocess.run(
        ["unshare", "--mount", "debootstrap", "--variant=minbase", SUITE, target, uri], check=True, stdout=sys.stderr
    )


def docker_run(
    image: Stage, *arguments: str, entrypoint: Sequence[str] | None = None, workdir: str | None = None
) -> str:
    """Does what `docker run IMAGE ARGUMENTS` does, as the image's user; returns standard output.

    Raises:
      RuntimeError: another exit status than 0; carries the last lines.
    """
    command = [*(image.entrypoint if entrypoint is None else entrypoint), *(arguments or image.cmd)]
    done = enter(image, command, workdir=workdir, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"{shlex.join(command)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        )
    return done.stdout


def checks(image: Stage) -> dict[str, Any]:
    """Uses the image in every way that it is meant for; returns what was seen.

    Raises:
      AssertionError, RuntimeError: it was not what docs/image.md says.
    """
    seen: dict[str, Any] = {}
    python = ("python", "-c")
    seen["user"] = docker_run(image, "id -u", entrypoint=("/bin/sh", "-c")).strip()
    assert seen["user"] == image.user != "0"
    writable = docker_run(image, "find /app -writable -type d", entrypoint=("/bin/sh", "-c"))
    assert writable.split() == ["/app/runs"], writable

    packages = [
        path.parent.name
        for path in sorted(REPOSITORY.glob("*/__init__.py"))
        if path.parent.name not in ("tests", "benchmarks")
    ]
    modules = [*packages, *(path.stem for path in REPOSITORY.glob("*_runner.py"))]
    script = f"import {', '.join(modules)}; import models.training, pipeline.pipeline; print('imported')"
    assert docker_run(image, script, entrypoint=python, workdir="/").split()[-1] == "imported"
    seen["importable_from_anywhere"] = modules

    entry = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
    assert "--executor_class_path" in docker_run(image, "-m", entry, "--help", entrypoint=("python",), workdir="/tmp")
    pool = "apache_beam.runners.worker.worker_pool_main"
    assert "--service_port" in docker_run(image, "-m", pool, "--help", entrypoint=("python",), workdir="/tmp")
    seen["entry_points"] = [entry, pool]

    started = time.monotonic()
    result = json.loads(docker_run(image, "run", "--json"))
    assert (result["result"], result["root"]) == ("pushed", "/app/runs/taxi"), result
    seen["run"] = {
        "seconds": round(time.monotonic() - started),
        "result": result["result"],
        "span": result["span"],
        "auc": round(result["evaluation"]["slices"][0]["auc"], 4),
    }
    seen["serve"] = serving(image)
    versions = "import sys, platform, tfx; print(platform.python_version(), platform.libc_ver()[1], tfx.__version__)"
    seen["python"], seen["glibc"], seen["tfx"] = docker_run(image, versions, entrypoint=python).split()[-3:]
    return seen


def serving(image: Stage) -> dict[str, Any]:
    """Starts the model server, waits until the image's health check is content, and ends it with SIGTERM."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    arguments = ["serve", "--model-name", "taxi", "--model-base-path", "/app/runs/taxi/serving/taxi", "--port", port]
    command = entering(image, [*image.entrypoint, *arguments], env={}, workdir=None)
    with subprocess.Popen(command, stdout=sys.stderr, stderr=sys.stderr) as outer:
        try:
            first = wait_for(lambda: Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split())[0]
            uid, gid, _ = image.identity()
            inside = [
                "nsenter",
                "--target",
                first,
                "--mount",
                "--pid",
                "--root",
                f"--setuid={uid}",
                f"--setgid={gid}",
            ]
            variables = [f"{name}={value}" for name, value in image.env.items()]
            health = [*inside, "env", "-i", *variables, *image.healthcheck]
            answers = []

            def healthy() -> bool:
                answers.append(subprocess.run(health, stdout=subprocess.PIPE, text=True, timeout=60).returncode)
                return answers[-1] == 0

            started = time.monotonic()
            wait_for(healthy)
            ready = time.monotonic() - started
            os.kill(int(first), signal.SIGTERM)
            status = outer.wait(60)
        finally:
            outer.kill()
    return {
        "healthy_after_seconds": round(ready),
        "health_checks": sorted(set(answers), reverse=True),
        "status_after_sigterm": status,
    }


def wait_for(condition: Any) -> Any:
    """Returns the first true value of `condition()`.

    Raises:
      TimeoutError: there was none within five minutes.
    """
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.5)
    raise TimeoutError("the image's server did not come to what was waited for")


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
