"""`/healthz` says 200 only when all three answer, and names what does not."""

import time

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.utils import OperationalError

from pitch import clusters, worker
from tests.e2e.running import free_port


@pytest.fixture
def well(db):
    """A worker that was heard a moment ago."""
    cache.set(worker.HEARTBEAT_KEY, time.time(), None)
    for name in clusters.NAMES:
        cache.set(worker.cluster_key(name), time.time(), None)


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
    cache.set(worker.cluster_key("pitch"), time.time() - 300, None)
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


def test_a_broker_that_is_away_is_a_503_and_no_crash(client, well, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{free_port()}/0",
        }
    }
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["queue"]) == (503, "the worker's sign of life cannot be read")


def test_it_is_answered_whatever_the_host_and_without_tls(client, well, settings):
    """Load balancers ask by address and in the clear, also in production."""
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["pitch.example.test"], True
    assert client.get("/healthz", headers={"host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/accounts/login/", headers={"host": "10.0.0.7:8000"}).status_code == 400
