"""A PostgreSQL server for tests, from the system's packages: in a folder of its own, reached by a socket there."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUICK = "-c fsync=off -c full_page_writes=off -c listen_addresses= -c max_connections=50"


def find_program(name: str) -> str | None:
    """A program of PostgreSQL, which Debian keeps outside the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def why_not() -> str | None:
    """Why there can be no server here; None where there can."""
    if find_program("initdb") is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and _other_user() is None:
        return "PostgreSQL does not run as root, and there is no other user"
    return None


@contextmanager
def postgres() -> Iterator[str]:
    """A running server. Gives the URL of its database, without the name: ``url.format(name)``."""
    folder = Path(tempfile.mkdtemp(prefix="limner-pg-", dir="/tmp"))
    user = _other_user() if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)

    def call(program: str, *arguments: str) -> None:
        command = [str(find_program(program)), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(command, user=user, capture_output=True, text=True, cwd=folder, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        call("initdb", "-U", "limner", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        call("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", f"{QUICK} -k {folder}")
        try:
            yield "postgresql+psycopg://limner@/{}?host=" + str(folder)
        finally:
            call("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user() -> str | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None
