"""A scratch installation for a drill: `./run`'s launcher on a folder, ports and a database of its own, and who is who in it."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

START_SECONDS = 120.0


class DrillFailed(Exception):
    """The drill could not be carried out; the message is a sentence."""


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true value of `condition()`; raises DrillFailed after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise DrillFailed(f"{what}: not within {seconds:.0f} s.")
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """Return the processes that `pid` started and that live."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def environment_of(pid: int) -> bytes:
    """Return the environment a process was started with."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def command_of(pid: int) -> bytes:
    """Return a process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Installation:
    """One running Pitch below `folder`, made for the drill and thrown away after it."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PITCH_MODE": "demo",
            "PITCH_DATA": str(folder),
            "DATABASE_URL": database_url,
            "PORT": str(free_port()),
            "MAILBOX_PORT": str(free_port()),
            "SMTP_ALLOW_PLAINTEXT": "true",
        }
        for name in ("REDIS_URL", "PITCH_BASE_URL", "PITCH_SECRET_KEY", "PITCH_ENCRYPTION_KEYS", "PITCH_LINK_KEYS"):
            self.environment.pop(name, None)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start what `./run` starts, and wait until it is ready."""
        output = (self.folder / "launcher.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pitch.launcher"],
            cwd=settings.BASE_DIR, env=self.environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        wait_until(self._is_ready, START_SECONDS, "The scratch installation started")

    def _is_ready(self) -> bool:
        assert self.process is not None
        said = (self.folder / "launcher.log").read_text(errors="replace")
        if self.process.poll() is not None:
            raise DrillFailed(f"The scratch installation ended:\n{said}")
        return "Pitch is ready:" in said

    def stop(self) -> None:
        """Stop it with everything it started."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    # ---- Who is who -----------------------------------------------------------------------------------------------------
    def worker(self) -> int:
        """Return the worker's parent."""
        assert self.process is not None
        return next((pid for pid in children_of(self.process.pid) if b"run_worker" in command_of(pid)), 0)

    def leader(self) -> int:
        """Return the process that leads the cluster “send”."""
        named = b"Q_CLUSTER_NAME=send\0"
        return next((pid for pid in children_of(self.worker()) if named in environment_of(pid)), 0)

    def guard(self) -> int:
        """Return django-q2's sentinel in that cluster."""
        return next(iter(children_of(self.leader())), 0)

    def parts(self) -> dict[str, list[int]]:
        """Return its pumps (worker processes), monitor and pusher, as their signs of life tell them apart."""
        folders = sorted((self.folder / "signs").glob("*/send-*"), key=lambda found: found.stat().st_mtime)
        if not folders:
            return {}
        children = children_of(self.guard())
        kinds = {
            kind: [pid for pid in children if (folders[-1] / f"{kind}-{pid}").exists()]
            for kind in ("worker", "monitor")
        }
        rest = [pid for pid in children if pid not in kinds["worker"] + kinds["monitor"]]
        return {"pump": kinds["worker"], "monitor": kinds["monitor"], "pusher": rest}

    def victims(self, kind: str) -> list[int]:
        """Return the processes of one kind; empty while there is none."""
        if kind == "worker":
            return [pid for pid in [self.worker()] if pid]
        if kind == "sentinel":
            return [pid for pid in [self.guard()] if pid]
        found = self.parts().get(kind, [])
        return found if kind == "pump" or len(found) == 1 else []


class Scratch:
    """The folder and, on PostgreSQL, the database of a drill, as a context."""

    def __init__(self) -> None:
        self.folder = Path(settings.PITCH_DATA) / "drill" / secrets.token_hex(4)
        self.name = f"pitch_drill_{secrets.token_hex(4)}"
        self.admin = os.environ.get("DATABASE_URL", "")
        self.is_postgres = self.admin.startswith("postgres")

    def __enter__(self) -> Installation:
        self.folder.mkdir(parents=True)
        url = f"sqlite:///{self.folder / 'drill.sqlite3'}"
        if self.is_postgres:
            self._execute(f'CREATE DATABASE "{self.name}"')
            url = f"{self.admin.rpartition('/')[0]}/{self.name}"
        return Installation(self.folder, url)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self.is_postgres:
            self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)  # else its logs tell why

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement)
