"""Keeps the children of `./run` alive, or takes the whole down with a sentence: never half-alive."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from django.conf import settings

from pitch.lib import processes

# A child that dies this often within WINDOW seconds will not come back by starting it again.
DEATHS = 5
WINDOW = 60.0
# The worker gives its clusters 8 s; nobody may be killed before he has ended what he started himself.
STOP_SECONDS = 20.0


@dataclass
class Child:
    """One process to keep alive; `deaths` are the monotonic times it died at."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    restart_at: float = 0.0
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))
    log: IO[bytes] | None = None


def children() -> list[Child]:
    """Return what runs in this mode: web, worker, and in the demo the local mailbox."""
    web = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(settings.PORT),
        "--workers", "1", "--blocking-threads", "64", "--backpressure", "256", "--no-ws", "--log-level", "warning",
        "pitch.wsgi:application",
    ]  # fmt: skip
    manage = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py")]
    found = [Child("web", web), Child("worker", [*manage, "run_worker"])]
    if settings.DEMO:
        found.append(Child("mailbox", [*manage, "run_mailbox"]))
    return found


class Supervisor:
    """Starts the children, restarts the fallen, prints the ready line once all is well."""

    def __init__(self, watched: list[Child], password: str) -> None:
        self.children = watched
        self.password = password
        self.stopping = False
        self.is_ready = False
        self.logs = Path(settings.PITCH_DATA) / "logs"

    def run(self) -> int:
        """Watch until a signal comes or a child cannot be kept alive; returns the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        print(f"Starting {', '.join(child.name for child in self.children)}; logs are in {self.logs}", flush=True)
        code = 0
        try:
            while not self.stopping and code == 0:
                code = self._look_after_children()
                if not self.is_ready and self._answers():
                    self._say_ready()
                time.sleep(0.1)
        finally:
            self._stop_all()
        if code == 0:
            print("Pitch has stopped.", flush=True)
        return code

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _start(self, child: Child) -> None:
        child.log = child.log or (self.logs / f"{child.name}.log").open("ab")
        child.process = processes.start(child.command, cwd=settings.BASE_DIR, stdout=child.log, stderr=child.log)

    def _look_after_children(self) -> int:
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.restart_at:
                    self._start(child)
            elif child.process.poll() is not None:
                processes.stop([child.process], grace=5)  # what is left of its group must not work on without it
                code, child.process = child.process.returncode, None
                child.deaths.append(now)
                if len(child.deaths) == DEATHS and now - child.deaths[0] < WINDOW:
                    print(
                        f"Pitch stops: {child.name} ended {DEATHS} times within a minute (last exit code {code}). "
                        f"The reason stands at the end of {self.logs / child.name}.log:\n{self._last_words(child)}",
                        file=sys.stderr,
                        flush=True,
                    )
                    return 1
                child.restart_at = now + min(0.2 * 2 ** len(child.deaths), 5)
                print(f"{child.name} ended (exit code {code}); starting it again.", file=sys.stderr, flush=True)
        return 0

    def _last_words(self, child: Child) -> str:
        lines = (self.logs / f"{child.name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-12:])

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{settings.PORT}/healthz", timeout=2) as answer:
                return bool(json.load(answer)["status"] == "ok")
        except (urllib.error.URLError, OSError, ValueError, KeyError):
            return False

    def _say_ready(self) -> None:
        self.is_ready = True
        who = f"  sign in as demo@acme.test / {self.password}" if self.password else ""
        print(f"Pitch is ready: {settings.PITCH_BASE_URL}{who}", flush=True)

    def _stop_all(self) -> None:
        processes.stop([child.process for child in self.children if child.process is not None], grace=STOP_SECONDS)
        for child in self.children:
            if child.log is not None:
                child.log.close()
