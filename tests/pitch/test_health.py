"""`/healthz` says 200 only when all three answer, and names what does not."""

import time

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.utils import OperationalError

from pitch import worker


@pytest.fixture
def well(db):
    """A worker that was heard a moment ago."""
    cache.set(worker.HEARTBEAT_KEY, time.time(), None)
    for name in worker.CLUSTERS:
        worker.sing(name)


def test_all_is_well(client, well):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert "no-store" in answer["Cache-Control"]
    assert client.head("/healthz").status_code == 200
    assert client.post("/healthz").status_code == 405


def test_no_worker(client, db):
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["queue"] == "the worker is not running"
    assert answer.json()["database"] == "ok"


def test_a_worker_whose_queue_stands_still(client, well):
    cache.set(worker.canary_key("pitch"), time.time() - 300, None)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "does no tasks" in answer.json()["queue"]


def test_storage_that_cannot_be_written(client, well, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "not" / "there"
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "media folder" in answer.json()["storage"]


def test_a_database_that_is_gone(client, well):
    def broken(execute, sql, params, many, context):
        raise OperationalError("gone")

    with connection.execute_wrapper(broken):
        answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "the database does not answer"
