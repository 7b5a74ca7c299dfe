"""The worker's parent: watches django-q2's cluster from outside and is its only clock.

A cluster can look healthy and do nothing: a worker process killed at the wrong moment takes the lock of the shared queue
with it, a dead monitor leaves every result unsaved. So a canary task goes through it every 20 s; when none came back
for STALE seconds the whole process group is killed and started again. The rows are the queue, so nothing is lost by that.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from django.utils.module_loading import import_string

from pitch.lib import processes, queue
from pitch.schedules import SCHEDULES

log = logging.getLogger(__name__)

HEARTBEAT_KEY = "worker:heartbeat"
CANARY_KEY = "worker:canary"
HEARTBEAT_EVERY = 5.0
CANARY_EVERY = 20.0
STALE = 90.0
FRUITLESS_STARTS = 5


def sing() -> None:
    """Be the canary: a task that only says it was run (Unix time, seconds)."""
    cache.set(CANARY_KEY, time.time(), None)


def trim() -> None:
    """Delete records of tasks finished more than a day ago; deliveries keep their own state."""
    from django_q.models import Task

    Task.objects.filter(stopped__lt=timezone.now() - timedelta(days=1)).delete()


def ages() -> dict[str, float | None]:
    """Return how many seconds ago the worker's parent and the canary were heard; None for never."""
    now = time.time()
    found = cache.get_many([HEARTBEAT_KEY, CANARY_KEY])
    return {
        name: None if key not in found else now - found[key]
        for name, key in (("heartbeat", HEARTBEAT_KEY), ("canary", CANARY_KEY))
    }


class Worker:
    """Starts the cluster, calls the schedules, and starts the cluster again when it stops answering."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.stopping = False
        self.cluster: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.fruitless = 0
        self.due = dict.fromkeys(SCHEDULES, 0.0)
        self.heartbeat_due = self.canary_due = 0.0

    def run(self) -> int:
        """Work until told to stop; returns the exit code (1 if the cluster cannot be kept alive)."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        cache.delete(CANARY_KEY)
        try:
            while not self.stopping:
                if not self._keep_cluster():
                    log.error("The worker stops: its cluster did not answer after %s starts.", FRUITLESS_STARTS)
                    return 1
                self._tick()
                time.sleep(0.2)
        finally:
            if self.cluster is not None:
                processes.stop(self.cluster, grace=20)
        return 0

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _keep_cluster(self) -> bool:
        if self.cluster is not None and self.cluster.poll() is None and not self._is_stale():
            return True
        if self.cluster is not None:
            log.warning("The queue's cluster ended or does not answer; it is started again.")
            processes.signal_group(self.cluster, signal.SIGKILL)
            self.cluster.wait()
            sung = cache.get(CANARY_KEY)
            lived = sung is not None and sung > time.time() - (self.clock() - self.started_at)
            self.fruitless = 0 if lived else self.fruitless + 1
            if self.fruitless >= FRUITLESS_STARTS:
                return False
        command = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "qcluster"]
        self.cluster = processes.start(command, environment=os.environ, cwd=settings.BASE_DIR)
        self.started_at, self.canary_due = self.clock(), 0.0
        return True

    def _is_stale(self) -> bool:
        if self.clock() - self.started_at < STALE:
            return False
        sung = cache.get(CANARY_KEY)
        return sung is None or time.time() - sung > STALE

    def _tick(self) -> None:
        now = self.clock()
        if now >= self.heartbeat_due:
            cache.set(HEARTBEAT_KEY, time.time(), None)
            self.heartbeat_due = now + HEARTBEAT_EVERY
        if now >= self.canary_due:
            self._guarded("canary", lambda: queue.wake("pitch.worker.sing"))
            self.canary_due = now + CANARY_EVERY
        for schedule, due in self.due.items():
            if now >= due:
                self._guarded(schedule.name, import_string(schedule.call))
                self.due[schedule] = now + schedule.every

    @staticmethod
    def _guarded(name: str, call: Callable[[], object]) -> None:
        """Call one schedule; a database that is away for a moment must not end the clock."""
        try:
            call()
        except (DatabaseError, OSError):
            log.exception("%s failed; it is tried again.", name)
            close_old_connections()
