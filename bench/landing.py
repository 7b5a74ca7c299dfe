"""Requests per second of the landing page against a view with one query and one template, in the same run.

Both go through the whole stack of middlewares by Django's test client, in turns, so that whatever else the machine does hits
both alike. The baseline is the least a public page of this site can be: one row by its code with its message and organization,
and one template on our public base page.
"""

import statistics
import time
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template import engines
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone

ROUNDS = 40
REQUESTS = 25
MUST, AIM = 0.8, 1.0
TEMPLATE = """{% extends "public.html" %}{% load i18n %}
{% block title %}{{ delivery.message.subject }}{% endblock %}
{% block main %}<h1>{{ delivery.name }}</h1>{{ delivery.message.text_html|safe }}{% endblock %}
"""


def baseline(request: HttpRequest, code: str) -> HttpResponse:
    """One query, one template."""
    from messaging.models import Delivery

    delivery = get_object_or_404(Delivery.objects.select_related("message", "organization"), code=code)
    context = {"delivery": delivery, "organization": delivery.organization}
    return HttpResponse(baseline.template.render(context, request))  # type: ignore[attr-defined]


urlpatterns = [path("bench/<str:code>", baseline), path("", include("pitch.urls"))]


def make_delivery() -> Any:
    """Make one delivery with all a page shows."""
    from accounts.models import Organization, User
    from messaging.models import Delivery, Message
    from videos.models import Video

    now = timezone.now()
    acme = Organization.objects.create(
        slug="acme", name="Acme", partner_id=4242, admin_secrets=["s"], user_secrets=["t"]
    )
    ben = User.objects.create_user("ben@acme.test", organization=acme, name="Ben Ode", title="Customer Success")
    files = {"video_path": "a/video.mp4", "poster_path": "a/poster.jpg", "thumbnail_path": "a/thumbnail.jpg"}
    shape = {"duration_ms": 42_000, "width": 1280, "height": 720}
    video = Video.objects.create(organization=acme, owner=ben, state="ready", **files, **shape)
    message = Message.objects.create(
        organization=acme,
        sender=ben,
        video=video,
        subject="Two answers",
        text_html="<p>Thank you for the tour.</p>" * 5,
        status="completed",
        send_after=now,
        sent_at=now,
    )
    return Delivery.objects.create(
        organization=acme,
        message=message,
        name="Anna Torvald",
        address="anna@torvald.example",
        address_key="anna@torvald.example",
        state="accepted",
        next_at=now,
        date=now,
        internet_message_id="<1@acme.test>",
    )


def measure() -> list[float]:
    """Return, for each round, how fast the landing page was in units of the baseline."""
    from messaging import links

    delivery = make_delivery()
    baseline.template = engines["django"].from_string(TEMPLATE)  # type: ignore[attr-defined]
    client = Client()
    page = "/" + links.landing_url(delivery).split("/", 3)[3]

    def seconds(address: str) -> float:
        begin = time.perf_counter()
        for _number in range(REQUESTS):
            assert client.get(address).status_code == 200
        return time.perf_counter() - begin

    plain = f"/bench/{delivery.code}"
    seconds(plain), seconds(page)  # templates are compiled, caches are warm
    ratios = [seconds(plain) / seconds(page) for _round in range(ROUNDS)]
    print(
        f"landing page: {REQUESTS / seconds(page):.0f} requests/s, baseline: {REQUESTS / seconds(plain):.0f} requests/s"
    )
    return ratios


def run() -> dict[str, Any]:
    """Return the bench's line: the median of the ratio (landing page / baseline), in a database of its own."""
    storage = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        with override_settings(ROOT_URLCONF="bench.landing", STORAGES=storage, ALLOWED_HOSTS=["*"]):
            ratio = statistics.median(measure())
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    line = {
        "value": round(ratio, 2),
        "unit": "ratio",
        "baseline": "one query, one template, same run",
        "better": "higher",
    }
    return {"landing page requests/s": line | {"must": MUST, "aim": AIM}}
