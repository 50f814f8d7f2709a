"""Performs a Dockerfile's instructions in root folders, in mount and process namespaces of their own."""

import fnmatch
import json
import os
import shlex
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.image.dockerfile import Instruction
from benchmarks.pages import REPOSITORY

SUITE = "trixie"
# What a machine needs to reach a package index; an engine would be told with --build-arg or its own configuration.
NETWORK = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL")
NETWORK_PREFIXES = ("UV_INDEX", "UV_DEFAULT_INDEX")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
INSIDE = "/run/certificate-authorities.crt"
AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
LIMIT_S = 3_600


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
