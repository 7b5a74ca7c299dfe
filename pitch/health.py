"""`GET /healthz`: whether this installation can do its work, for load balancers and for `./run` itself."""

import secrets
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from pitch import worker
from pitch.lib.outages import AWAY

HEARTBEAT_LIMIT = 20.0
CLUSTER_LIMIT = 45.0


def check_database() -> str:
    """Return "ok", or what is wrong with the database in words."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return "the database does not answer"
    return "ok"


def check_queue() -> str:
    """Return "ok", or what is wrong with the queue worker in words."""
    try:
        ages = worker.ages()
    except AWAY:
        return "the worker's sign of life cannot be read"
    heartbeat = ages.pop("heartbeat")
    if heartbeat is None or heartbeat > HEARTBEAT_LIMIT:
        return "the worker is not running"
    for cluster, age in ages.items():
        if age is None or age > CLUSTER_LIMIT:
            return f"the worker runs, but its queue “{cluster}” does no tasks"
    return "ok"


def check_storage() -> str:
    """Return "ok", or what is wrong with the media folder in words."""
    probe = Path(settings.MEDIA_ROOT) / f".healthz-{secrets.token_hex(8)}"
    try:
        probe.write_bytes(b"ok")
        read = probe.read_bytes()
        probe.unlink()
    except OSError as err:
        return f"the media folder cannot be written to: {err.strerror}"
    return "ok" if read == b"ok" else "the media folder does not give back what was written"


CHECKS: dict[str, Callable[[], str]] = {"database": check_database, "queue": check_queue, "storage": check_storage}


class HealthMiddleware:
    """Answers /healthz before anything asks for the host or for TLS: load balancers come by address, `./run` by 127.0.0.1."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the health check, pass on everything else."""
        return healthz(request) if request.path_info == "/healthz" else self.get_response(request)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 {"status": "ok", …} only when database, queue worker and storage answer; else 503 naming what does not."""
    found = {name: check() for name, check in CHECKS.items()}
    well = all(value == "ok" for value in found.values())
    return JsonResponse({"status": "ok" if well else "failing", **found}, status=200 if well else 503)
