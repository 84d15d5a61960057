"""A PostgreSQL server of a test's own, made by Debian's packages in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

OWNER: Final = "postgres"
SETTINGS: Final = {"listen_addresses": "127.0.0.1", "max_connections": "100", "shared_buffers": "128MB"}
_schemas = count(1)


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest where there are several, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


class Server:
    """A cluster in a folder; it may be killed and started again."""

    def __init__(self, folder: Path, *, password: str | None = None, **settings: str) -> None:
        bin_folder = programs()
        assert bin_folder
        self._programs, self._password = bin_folder, password
        self.data, self.log = folder / "data", folder / "log"
        self.port = _free_port()
        self._settings = {
            **SETTINGS,
            "unix_socket_directories": str(folder),
            "port": str(self.port),
            **settings,
        }
        if os.getuid() == 0:
            shutil.chown(folder, OWNER, OWNER)
        self._make(folder)
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, *, schema: str | None = None, user: str = OWNER, password: str | None = None) -> str:
        """The address of the database; with a schema, of that schema alone."""
        secret = f":{password or self._password}" if password or self._password else ""
        base = f"postgresql://{user}{secret}@127.0.0.1:{self.port}/postgres"
        return f"{base}?options=-csearch_path%3D{schema}" if schema else base

    def new_schema(self) -> str:
        """The address of a schema that is empty."""
        import psycopg

        name = f"test_{os.getpid()}_{next(_schemas)}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return self.address(schema=name)

    def start(self) -> None:
        """Nothing, once it answers; tried again while processes of a killed server are still about."""
        deadline = time.monotonic() + 60
        while True:
            self._process = self._launch()
            while self._process.poll() is None and time.monotonic() < deadline:
                if self._answers():
                    return
                time.sleep(0.05)
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """Nothing; the server's first process is gone, as kill -9 leaves it."""
        pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        assert self._process
        self._process.wait()

    def stop(self) -> None:
        """Nothing; the server has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)

    def _make(self, folder: Path) -> None:
        secret = folder / "password"
        secret.write_text(self._password or "unused")
        secret.chmod(0o644)
        method = "scram-sha-256" if self._password else "trust"
        command = [
            "initdb",
            "-D",
            self.data,
            "-U",
            OWNER,
            "-A",
            method,
            "--pwfile",
            secret,
            "-E",
            "UTF8",
            "-N",
        ]
        subprocess.run(self._as_owner(command), check=True, capture_output=True, cwd=folder)

    def _launch(self) -> subprocess.Popen[bytes]:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = self._as_owner(["postgres", "-D", self.data, *options])
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.data.parent, start_new_session=True
            )

    def _answers(self) -> bool:
        command = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _as_owner(self, command: Sequence[str | Path]) -> list[str]:
        program = [str(self._programs / command[0]), *map(str, command[1:])]
        if os.getuid() != 0:
            return program
        user = pwd.getpwnam(OWNER)
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *program]


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that the server's owner can enter, with a short name, as sockets need."""
    folder = tempfile.TemporaryDirectory(prefix="pl-pg-", ignore_cleanup_errors=True)
    Path(folder.name).chmod(0o755)
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
