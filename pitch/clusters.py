"""django-q2's clusters, watched from outside.

A cluster can look healthy and do nothing: a worker process killed at the wrong moment takes the lock of the shared queue
with it, a dead monitor leaves every result unsaved. So a canary task goes through each cluster again and again; one that does
nothing although it has hands free, or never writes down what it did, is killed with its whole process group and started again.
A cluster whose every hand is busy is well, however long its canary waits. The rows are the queue, so nothing is lost by a kill.
"""

import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings

from pitch.lib import processes, queue, signs

log = logging.getLogger(__name__)

# Mail never waits behind a long conversion, nor anything else behind a slow mail server: each has processes of its own.
NAMES = ("pitch", "send", "video")
CANARY_EVERY = 5.0
# Without a task done by idle hands, and with done tasks that nobody writes down, for so many seconds a cluster is dead.
STALE = 25.0
# Until its first task a cluster gets longer: on a small machine under load it takes its time to start.
START_STALE = 60.0
FRUITLESS_STARTS = 5
STOP_SECONDS = 8.0


def folder_of_signs() -> Path:
    """Return where this host's clusters leave their signs of life."""
    return Path(settings.PITCH_DATA) / "signs" / socket.gethostname()


def forget() -> None:
    """Remove what clusters of an earlier worker left; those of them that still end a task are told to stop by that."""
    shutil.rmtree(folder_of_signs(), ignore_errors=True)


def sing() -> None:
    """Be the canary: a task that only has to be done and written down."""


class Cluster:
    """One django-q2 cluster as a child process; `fruitless` counts starts in a row after which no task was done."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self.clock = clock
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_due = 0.0
        self.canary_due = 0.0
        self.fruitless = 0
        self.deaths = 0
        self.signs = folder_of_signs() / "none"

    def keep(self) -> bool:
        """Have the cluster running; False if it cannot be kept alive."""
        if self.process is not None and (self.process.poll() is not None or self.is_stale()):
            self._bury()
        if self.fruitless >= FRUITLESS_STARTS:
            return False
        if self.process is None and self.clock() >= self.start_due:
            self._start()
        if self.process is not None and self.clock() >= self.canary_due:
            self.canary_due = self.clock() + CANARY_EVERY
            queue.wake("pitch.clusters.sing", cluster=None if self.name == NAMES[0] else self.name)
        return True

    def is_well(self) -> bool:
        """Say whether the cluster has done a task lately, or is at work with every hand it has."""
        if self.process is None or self.is_stale():
            return False
        return signs.age(self.signs / "done") is not None or self._is_busy()

    def is_stale(self) -> bool:
        """Say whether it does nothing although it could, or no longer writes down what it did."""
        lived = self.clock() - self.started_at
        done, saved = signs.age(self.signs / "done"), signs.age(self.signs / "saved")
        if done is None:
            return lived > START_STALE and not self._is_busy()
        unsaved = lived if saved is None else saved
        if unsaved - done > STALE:
            return True
        return done > STALE and not self._is_busy()

    def _is_busy(self) -> bool:
        return signs.count_busy(self.signs) >= settings.WORKER_PROCESSES

    def _start(self) -> None:
        # A folder for each start: what is left of an older one must not speak for this one.
        self.signs = folder_of_signs() / f"{self.name}-{secrets.token_hex(4)}"
        self.signs.mkdir(parents=True)
        command = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "qcluster"]
        environment = {**os.environ, "Q_CLUSTER_NAME": self.name, signs.FOLDER: str(self.signs)}
        self.process = processes.start(command, environment=environment, cwd=settings.BASE_DIR)
        self.started_at = self.clock()
        self.canary_due = 0.0

    def _bury(self) -> None:
        assert self.process is not None
        log.warning("The cluster “%s” ended or does not answer; it is started again.", self.name)
        processes.signal_group(self.process, signal.SIGKILL)
        self.process.wait()
        self.process = None
        has_worked = signs.age(self.signs / "done") is not None
        shutil.rmtree(self.signs, ignore_errors=True)
        lived = self.clock() - self.started_at
        self.fruitless = 0 if has_worked else self.fruitless + 1
        # One that does a task and dies, again and again, must not take the machine with it.
        self.deaths = 0 if lived > 60 else self.deaths + 1
        self.start_due = self.clock() + min(0.5 * 2**self.deaths - 0.5, 30.0)


def stop(clusters: Sequence[Cluster]) -> None:
    """Stop clusters with everything they started, all at once, within STOP_SECONDS; long tasks are asked to end first."""
    for cluster in clusters:
        signs.touch(cluster.signs / "stopping")
    processes.stop([cluster.process for cluster in clusters if cluster.process is not None], grace=STOP_SECONDS)
    for cluster in clusters:
        shutil.rmtree(cluster.signs, ignore_errors=True)
