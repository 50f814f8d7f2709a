"""A real PostgreSQL for tests: Debian's, installed where it is missing, run as an ordinary process."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.helpers import debian
from tests.helpers.ports import free_port

PASSWORD = "pa55-w0rd/of:tests"
"""With characters that a URL has to escape."""
_QUOTED = "pa55-w0rd%2Fof%3Atests"
_CLUSTER_CONFIG = Path("/etc/postgresql-common/createcluster.conf")


def _programs() -> Path:
    """Returns the folder of the newest server's programs, which Debian keeps out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if os.geteuid() == 0 and not _CLUSTER_CONFIG.exists():
        # The package would make and start a server of its own, for nothing.
        _CLUSTER_CONFIG.parent.mkdir(exist_ok=True)
        _CLUSTER_CONFIG.write_text("create_main_cluster = false\n")
    debian.require("postgresql", "pg_createcluster")
    return max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])).parent


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Runs a server as a user that is not root; yields its URL, password and all."""
    programs = _programs()
    # PostgreSQL refuses to be root. Debian's package makes a user of this name.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="driftgate-postgres-"))
    (folder / "password").write_text(PASSWORD)
    if user is not None:
        account = pwd.getpwnam(user)
        for path in (folder, folder / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
    quiet = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    port = free_port()
    options = f"-k {folder} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c TimeZone=America/New_York"
    control = [programs / "pg_ctl", "-D", folder / "data", "-w"]
    try:
        initialise = [programs / "initdb", "-D", folder / "data", "--no-sync", "-U", "tester", "--auth", "md5"]
        subprocess.run([*initialise, "--pwfile", folder / "password"], check=True, **quiet)
        subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], check=True, **quiet)
        try:
            yield f"postgresql://tester:{_QUOTED}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
