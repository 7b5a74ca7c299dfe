"""The worker's parent: keeps the queue's clusters alive and is their only clock."""

import logging
import signal
import time
from collections.abc import Callable
from datetime import timedelta

from django.core.cache import cache
from django.db import close_old_connections
from django.utils import timezone
from django.utils.module_loading import import_string

from pitch import clusters
from pitch.clusters import Cluster
from pitch.lib.outages import AWAY
from pitch.schedules import SCHEDULES

log = logging.getLogger(__name__)

HEARTBEAT_KEY = "worker:heartbeat"
HEARTBEAT_EVERY = 5.0
RECORDS_KEPT = timedelta(days=7)


def cluster_key(cluster: str) -> str:
    """Return where it stands when a cluster was last found well (Unix time, seconds)."""
    return f"worker:cluster:{cluster}"


def trim() -> None:
    """Delete records of tasks (only failed ones are kept) after a week; deliveries and videos keep their own state."""
    from django_q.models import Task

    Task.objects.filter(stopped__lt=timezone.now() - RECORDS_KEPT).delete()


def forget() -> None:
    """Take back what the last run said of itself: it must not speak for the next one."""
    cache.delete_many([HEARTBEAT_KEY, *map(cluster_key, clusters.NAMES)])


def ages() -> dict[str, float | None]:
    """Return how many seconds ago the worker's parent was alive and each cluster was found well; None for never."""
    now = time.time()
    keys = {"heartbeat": HEARTBEAT_KEY, **{name: cluster_key(name) for name in clusters.NAMES}}
    found = cache.get_many(keys.values())
    return {name: None if key not in found else now - found[key] for name, key in keys.items()}


class Worker:
    """Keeps the clusters, calls the schedules, and says that it is alive."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.stopping = False
        self.clusters = [Cluster(name, clock) for name in clusters.NAMES]
        self.due = dict.fromkeys(SCHEDULES, 0.0)
        self.heartbeat_due = 0.0

    def run(self) -> int:
        """Work until told to stop; returns the exit code (1 if a cluster cannot be kept alive)."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        clusters.forget()
        self._guarded("forgetting the last run", forget)
        try:
            while not self.stopping:
                for cluster in self.clusters:
                    if not cluster.keep():
                        log.error(
                            "The worker stops: “%s” did no task after %s starts.",
                            cluster.name,
                            clusters.FRUITLESS_STARTS,
                        )
                        return 1
                self._tick()
                time.sleep(0.2)
        finally:
            clusters.stop(self.clusters)
        return 0

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _tick(self) -> None:
        now = self.clock()
        if now >= self.heartbeat_due:
            self._guarded("heartbeat", self._beat)
            # While something is not well somebody may wait to hear that it is.
            is_well = all(cluster.is_well() for cluster in self.clusters)
            self.heartbeat_due = now + (HEARTBEAT_EVERY if is_well else 0.5)
        for schedule, due in self.due.items():
            if now >= due:
                self._guarded(schedule.name, import_string(schedule.call))
                self.due[schedule] = now + schedule.every

    def _beat(self) -> None:
        signs = {HEARTBEAT_KEY: time.time()}
        signs |= {cluster_key(cluster.name): time.time() for cluster in self.clusters if cluster.is_well()}
        cache.set_many(signs, None)

    @staticmethod
    def _guarded(name: str, call: Callable[[], object]) -> None:
        """Do one thing; a database or broker that is away for a moment must not end the clock."""
        try:
            call()
        except AWAY:
            log.exception("%s failed; it is tried again.", name)
            close_old_connections()
