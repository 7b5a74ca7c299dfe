"""The queue's clusters, watched from outside: which are well, which are killed and started again, when it is given up."""

import os
import subprocess
import sys
import time

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.utils.module_loading import import_string

from pitch import clusters, worker
from pitch.lib import processes, signs
from pitch.schedules import SCHEDULES
from tests.e2e.running import free_port, wait_until


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

    monkeypatch.setattr(clusters.processes, "start", start)
    yield made
    for process in made:
        process.kill()
        process.wait()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cluster(clock, started):
    """A cluster that was started a moment ago."""
    made = clusters.Cluster("pitch", clock)
    assert made.keep()
    return made


def give(cluster, name, ago=0.0):
    """Give a sign of life as a process of the cluster would, so many seconds ago."""
    file = cluster.signs / name
    file.touch()
    os.utime(file, (time.time() - ago, time.time() - ago))


def test_a_dead_cluster_is_started_again(cluster, clock, started):
    assert cluster.keep()
    assert len(started) == 1
    started[0].kill()
    started[0].wait()
    assert cluster.keep()
    clock.now += 1
    assert cluster.keep()
    assert len(started) == 2


def test_a_silent_cluster_is_killed_and_started_again(cluster, clock, started):
    clock.now += 200
    give(cluster, "done", ago=clusters.STALE + 1)
    give(cluster, "saved", ago=clusters.STALE + 1)
    assert not cluster.is_well()
    assert cluster.keep()
    clock.now += 1
    assert cluster.keep()
    assert len(started) == 2
    assert started[0].poll() is not None


def test_a_cluster_with_every_hand_busy_is_well_however_long_the_canary_waits(cluster, clock, started):
    """Two conversions of an hour each are work, not death."""
    clock.now += 3600
    give(cluster, "done", ago=3500)
    give(cluster, "saved", ago=3500)
    for number in range(django_settings.WORKER_PROCESSES):
        give(cluster, f"busy-{number}")
    assert cluster.is_well()
    assert cluster.keep()
    assert len(started) == 1


def test_one_busy_hand_does_not_excuse_the_idle_one(cluster, clock):
    clock.now += 3600
    give(cluster, "done", ago=3500)
    give(cluster, "saved", ago=3500)
    give(cluster, "busy-1")
    give(cluster, "busy-2", ago=signs.FRESH + 1)  # died at work: its pulse stopped
    assert cluster.is_stale()


def test_work_that_nobody_writes_down_is_noticed(cluster, clock):
    """A dead monitor: tasks are done, their results never saved."""
    clock.now += 300
    give(cluster, "done")
    give(cluster, "saved", ago=clusters.STALE + 1)
    assert cluster.is_stale()
    give(cluster, "saved", ago=1)
    assert not cluster.is_stale()


def test_a_cluster_that_never_does_a_task_ends_the_worker(cluster, clock, started):
    results = []
    while results[-1:] != [False] and len(results) < 50:
        clock.now += clusters.START_STALE + 1
        results.append(cluster.keep())
    assert results[-1] is False
    assert len(started) == clusters.FRUITLESS_STARTS


def test_a_cluster_that_dies_after_its_first_task_is_given_time(cluster, clock, started):
    """Again and again: it must not take the machine with it."""
    end = clock.now + 60
    while clock.now < end:
        if cluster.process is not None:
            give(cluster, "done")
            cluster.process.kill()
            cluster.process.wait()
        assert cluster.keep()
        clock.now += 0.1
    assert 4 <= len(started) <= 8


def test_signs_of_an_older_start_do_not_speak_for_the_new_one(cluster, clock, started):
    give(cluster, "done")
    old = cluster.signs
    started[0].kill()
    started[0].wait()
    cluster.keep()
    clock.now += 1
    cluster.keep()
    assert cluster.signs != old
    assert not old.exists()


def test_a_task_leaves_its_signs(monkeypatch, tmp_path):
    monkeypatch.setenv(signs.FOLDER, str(tmp_path))
    signs.task_begins()
    wait_until(lambda: signs.count_busy(tmp_path) == 1, 5)
    signs.task_ends()
    assert signs.count_busy(tmp_path) == 0
    assert signs.age(tmp_path / "done") < 5
    signs.result_saved()
    assert signs.age(tmp_path / "saved") < 5


def test_the_clusters_stop_together_and_within_their_time(tmp_path, monkeypatch):
    """Two that hold on to a task: 1 s for both, not for each."""
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    running = [
        processes.start([sys.executable, "-c", stubborn], stdout=subprocess.PIPE),
        processes.start([sys.executable, "-c", stubborn], stdout=subprocess.PIPE),
    ]
    for process in running:
        process.stdout.readline()
    begun = time.monotonic()
    processes.stop(running, grace=1)
    assert time.monotonic() - begun < 4
    assert [process.returncode for process in running] == [-9, -9]
    for process in running:
        process.stdout.close()


def test_every_schedule_names_a_function_that_runs(db):
    for schedule in SCHEDULES:
        import_string(schedule.call)()


def test_a_broker_that_is_away_ends_neither_clock_nor_wake_up(settings, db, caplog, django_capture_on_commit_callbacks):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{free_port()}/0",
        }
    }
    made = worker.Worker(Clock())
    made.due = {}
    made._tick()
    assert "heartbeat failed; it is tried again." in caplog.text
    with pytest.raises(Exception, match="refused"):
        cache.set("x", 1)
