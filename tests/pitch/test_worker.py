"""The worker's parent: starts a dead or silent cluster again, and gives up with an exit code."""

import subprocess
import sys
import time

import pytest
from django.core.cache import cache

from pitch import worker


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def started(monkeypatch, db):
    """Starts a process that only waits instead of qcluster: the cluster itself runs in tests/e2e."""
    made = []

    def start(command, environment=None, **options):
        made.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True))
        return made[-1]

    monkeypatch.setattr(worker.processes, "start", start)
    yield made
    for process in made:
        process.kill()
        process.wait()


def test_a_dead_cluster_is_started_again(started):
    cluster = worker.Cluster("pitch", Clock())
    assert cluster.keep()
    assert cluster.keep()
    assert len(started) == 1
    started[0].kill()
    started[0].wait()
    assert cluster.keep()
    assert len(started) == 2


def test_a_silent_cluster_is_killed_and_started_again(started):
    clock = Clock()
    cluster = worker.Cluster("pitch", clock)
    cluster.keep()
    cache.set(worker.canary_key("pitch"), time.time() - worker.STALE - 1, None)
    clock.now += worker.STALE + 1
    assert cluster.keep()
    assert len(started) == 2
    assert started[0].poll() is not None


def test_a_cluster_that_never_answers_ends_the_worker(started):
    clock = Clock()
    cluster = worker.Cluster("pitch", clock)
    cluster.keep()
    cache.delete(worker.canary_key("pitch"))
    results = []
    for _start in range(worker.FRUITLESS_STARTS):
        clock.now += worker.STALE + 1
        results.append(cluster.keep())
    assert results == [True] * (worker.FRUITLESS_STARTS - 1) + [False]


def test_every_schedule_names_a_function_that_runs(db):
    from django.utils.module_loading import import_string

    from pitch.schedules import SCHEDULES

    for schedule in SCHEDULES:
        import_string(schedule.call)()
