"""Signs of life from inside a queue's processes, as files its parent on the same host can look at.

django-q2 tells nobody outside whether its processes work, wait or stand still. Files need neither database nor broker, so what
they say stays true while those are away. One folder for each start of a cluster:

    worker-<pid>, monitor-<pid>   made by a worker process when it starts, by the monitor process at its first result
    busy-<pid>   touched again and again while that worker process does a task
    done         touched by a worker process after each task
    saved        touched by the monitor process after it has written down what became of a task
    stopping     made by the parent: long tasks end where they can take a break
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

FOLDER = "PITCH_SIGNS"
BEAT = 3.0
FRESH = 15.0


class Pulse(threading.Thread):
    """Touches one file until it is told to end."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self.file = file
        self.over = threading.Event()

    def run(self) -> None:
        """Beat."""
        while not self.over.is_set():
            touch(self.file)
            self.over.wait(BEAT)
        self.file.unlink(missing_ok=True)


_pulses: dict[int, Pulse] = {}


def folder() -> Path | None:
    """Return where this process leaves its signs; None outside a watched cluster."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else None


def touch(file: Path) -> None:
    """Say “now”; a folder that was taken away is no reason to fail."""
    try:
        file.touch()
    except OSError:
        return


def worker_begins(sender: Any = None, **kwargs: Any) -> None:
    """Say which process this is (django-q2's post_spawn, sent in each worker process)."""
    place = folder()
    if place is not None:
        touch(place / f"worker-{os.getpid()}")


def task_begins(sender: Any = None, **kwargs: Any) -> None:
    """Have a pulse while this process works (django-q2's signal pre_execute, sent in the worker process)."""
    place = folder()
    if place is not None:
        pulse = Pulse(place / f"busy-{os.getpid()}")
        _pulses[os.getpid()] = pulse
        pulse.start()


def task_ends(sender: Any = None, **kwargs: Any) -> None:
    """End the pulse and say that a task was done (django-q2's post_execute_in_worker)."""
    place = folder()
    pulse = _pulses.pop(os.getpid(), None)
    if pulse is not None:
        pulse.over.set()
        pulse.join(1)
    if place is not None:
        touch(place / "done")


def result_saved(sender: Any = None, **kwargs: Any) -> None:
    """Say that a result was written down (django-q2's post_execute, sent in the monitor process)."""
    place = folder()
    if place is not None:
        touch(place / f"monitor-{os.getpid()}")
        touch(place / "saved")


def connect() -> None:
    """Listen to django-q2 in this process and those it forks."""
    from django_q import signals

    signals.post_spawn.connect(worker_begins, dispatch_uid="pitch.signs")
    signals.pre_execute.connect(task_begins, dispatch_uid="pitch.signs")
    signals.post_execute_in_worker.connect(task_ends, dispatch_uid="pitch.signs")
    signals.post_execute.connect(result_saved, dispatch_uid="pitch.signs")


def is_stopping() -> bool:
    """Say whether the cluster this process belongs to was asked to stop or given up: a long task ends at its next pause."""
    place = folder()
    return place is not None and (not place.exists() or (place / "stopping").exists())


def age(file: Path) -> float | None:
    """Return how many seconds ago a sign was given; None if never."""
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except OSError:
        return None


def count_busy(place: Path) -> int:
    """Return how many processes do a task right now, by the signs in `place`."""
    ages = [age(file) for file in place.glob("busy-*")]
    return sum(1 for found in ages if found is not None and found < FRESH)
