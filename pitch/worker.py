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
HEARTBEAT_EVERY = 5.0
CANARY_EVERY = 20.0
STALE = 90.0
FRUITLESS_STARTS = 5
# Mail never waits behind a long conversion: each kind of work has processes of its own.
CLUSTERS = ("pitch", "video")


def sing(cluster: str) -> None:
    """Be the canary of one cluster: a task that only says it was run (Unix time, seconds)."""
    cache.set(canary_key(cluster), time.time(), None)


def canary_key(cluster: str) -> str:
    """Return where a cluster's canary is heard."""
    return f"worker:canary:{cluster}"


def trim() -> None:
    """Delete records of tasks finished more than a day ago; deliveries keep their own state."""
    from django_q.models import Task

    Task.objects.filter(stopped__lt=timezone.now() - timedelta(days=1)).delete()


def ages() -> dict[str, float | None]:
    """Return how many seconds ago the worker's parent and each cluster's canary were heard; None for never."""
    now = time.time()
    keys = {"heartbeat": HEARTBEAT_KEY, **{cluster: canary_key(cluster) for cluster in CLUSTERS}}
    found = cache.get_many(keys.values())
    return {name: None if key not in found else now - found[key] for name, key in keys.items()}


class Cluster:
    """One django-q2 cluster as a child process; `fruitless` counts starts after which no canary came back."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self.clock = clock
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.fruitless = 0

    def keep(self) -> bool:
        """Have the cluster running; False if it cannot be kept alive."""
        if self.process is not None and self.process.poll() is None and not self._is_stale():
            return True
        if self.process is not None:
            log.warning("The cluster “%s” ended or does not answer; it is started again.", self.name)
            processes.signal_group(self.process, signal.SIGKILL)
            self.process.wait()
            sung = cache.get(canary_key(self.name))
            lived = sung is not None and sung > time.time() - (self.clock() - self.started_at)
            self.fruitless = 0 if lived else self.fruitless + 1
            if self.fruitless >= FRUITLESS_STARTS:
                return False
        command = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "qcluster"]
        environment = {**os.environ, "Q_CLUSTER_NAME": self.name}
        self.process = processes.start(command, environment=environment, cwd=settings.BASE_DIR)
        self.started_at = self.clock()
        self.sing()
        return True

    def sing(self) -> None:
        """Send the canary in."""
        queue.wake("pitch.worker.sing", self.name, cluster=None if self.name == CLUSTERS[0] else self.name)

    def _is_stale(self) -> bool:
        if self.clock() - self.started_at < STALE:
            return False
        sung = cache.get(canary_key(self.name))
        return sung is None or time.time() - sung > STALE

    def stop(self) -> None:
        """Stop the cluster with everything it started."""
        if self.process is not None:
            processes.stop(self.process, grace=20)


class Worker:
    """Keeps the clusters, calls the schedules, and says that it is alive."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.stopping = False
        self.clusters = [Cluster(name, clock) for name in CLUSTERS]
        self.due = dict.fromkeys(SCHEDULES, 0.0)
        self.heartbeat_due = 0.0
        self.canary_due = clock() + CANARY_EVERY

    def run(self) -> int:
        """Work until told to stop; returns the exit code (1 if a cluster cannot be kept alive)."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        cache.delete_many([canary_key(name) for name in CLUSTERS])
        try:
            while not self.stopping:
                for cluster in self.clusters:
                    if not cluster.keep():
                        log.error(
                            "The worker stops: “%s” did not answer after %s starts.", cluster.name, FRUITLESS_STARTS
                        )
                        return 1
                self._tick()
                time.sleep(0.2)
        finally:
            for cluster in self.clusters:
                cluster.stop()
        return 0

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _tick(self) -> None:
        now = self.clock()
        if now >= self.heartbeat_due:
            cache.set(HEARTBEAT_KEY, time.time(), None)
            self.heartbeat_due = now + HEARTBEAT_EVERY
        if now >= self.canary_due:
            for cluster in self.clusters:
                self._guarded(f"canary of {cluster.name}", cluster.sing)
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
