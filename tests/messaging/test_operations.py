"""The operators' view: who sees what on the page "Sending", and the same numbers at /metrics."""

import re
import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from messaging.models import Delivery, EmailProvider, Message, ProviderLimit
from messaging.services import budgets, leases, operations, slots
from pitch import clusters, worker
from tests.messaging.landing_world import make_delivery, make_message

TOKEN = "a-token-of-the-tests-0123"
PAGE = "/admin/sending/"


def make_provider(organization, **fields):
    return EmailProvider.objects.create(
        organization=organization, **{"name": "relay", "host": "smtp.x.example"} | fields
    )


@pytest.fixture
def world(acme, globex, alice, charlie):
    """Acme and Globex with one of everything; returns acme's provider."""
    now = timezone.now()
    for user in (alice, charlie):
        name = user.organization.slug
        provider = make_provider(user.organization, name=f"{name} relay", max_connections=3, connections=2)
        ProviderLimit.objects.create(provider=provider, amount=30, seconds=60)
        budgets.reserve(provider, 4)
        slots.take(provider)
        message = make_message(user, status="sending", subject="Secret subject")
        later, ago = now + timedelta(hours=1), now - timedelta(hours=1)
        for number, fields in enumerate(
            [
                {"state": "queued", "next_at": ago},
                {"state": "queued", "next_at": later, "priority": 10},
                {"state": "deferred", "next_at": later},
                {"state": "leased", "lease": leases.new_lease(), "lease_until": later},
                {"state": "in_doubt"},
                {
                    "state": "bounced",
                    "finished_at": ago,
                    "reply_code": 550,
                    "reply_text": "5.1.1 <a@x.example> unknown",
                },
                {
                    "state": "bounced",
                    "finished_at": ago,
                    "reply_code": 550,
                    "reply_text": "5.1.1 <b@y.example> unknown",
                },
                {"state": "dropped", "finished_at": ago, "reply_code": 554, "reply_text": f"policy of {name}"},
                {
                    "state": "bounced",
                    "finished_at": now - timedelta(days=8),
                    "reply_code": 550,
                    "reply_text": "long ago",
                },
            ]
        ):
            make_delivery(message, address=f"p{number}@{name}.example", **{"provider": provider} | fields)
    for name in clusters.NAMES:
        cache.set(worker.cluster_key(name), time.time(), None)
    return EmailProvider.objects.get(organization=acme)


def numbers(html):
    return re.findall(r'kp__n">([^<]*)<', html)


def test_an_administrator_sees_the_own_organization_only(signed_in, world, ada):
    html = signed_in(ada).get(PAGE).content.decode()
    assert numbers(html) == ["1", "0", "1", "0", "1"]  # due, bulk due, leased, held, in doubt
    assert "acme relay" in html
    assert "policy of acme" in html
    assert "globex" not in html
    assert "Cluster" not in html  # the installation's
    assert "4 of 30" in html
    assert "room for 26 now" in html
    assert "1 of 2 open" in html
    assert "at most 3" in html
    assert f"/admin/messaging/emailprovider/{world.pk}/change/" in html
    assert f"{reverse('admin:messaging_delivery_changelist')}?state__exact=in_doubt" in html


def test_an_operator_sees_all_and_the_worker(signed_in, world, root):
    html = signed_in(root).get(PAGE).content.decode()
    assert numbers(html) == ["2", "0", "2", "0", "2"]
    assert "acme relay" in html
    assert "globex relay" in html
    for name in clusters.NAMES:
        assert f"Cluster “{name}”" in html
    assert "Not seen since it started" in html  # the worker itself, whose heartbeat is not set
    holder = slots.PumpSlot.objects.first().holder.split("|")
    assert holder[0] in html
    assert holder[1] in html


def test_reasons_are_counted_together_and_name_nobody(signed_in, world, root):
    html = signed_in(root).get(PAGE).content.decode()
    row = re.search(r'<tr><td class="ops__few">4</td>.*?550 5\.1\.1 … unknown', html, re.S)
    assert row
    assert "x.example" not in html.replace("smtp.x.example", "")
    assert "long ago" not in html


@pytest.mark.parametrize(("who", "status"), [("alice", 404), ("erin", 404)])
def test_others_find_nothing(signed_in, world, request, who, status):
    assert signed_in(request.getfixturevalue(who)).get(PAGE, follow=True).status_code == status


def test_nobody_is_sent_to_sign_in(client, db):
    assert client.get(PAGE, follow=True).redirect_chain[-1][0].startswith("/accounts/login/")


def test_the_first_page_leads_there(signed_in, ada):
    assert f'href="{PAGE}"' in signed_in(ada).get("/admin/").content.decode()


def test_what_stands_still_is_said(signed_in, world, ada, alice):
    now = timezone.now()
    EmailProvider.objects.filter(pk=world.pk).update(
        stopped_at=now, stopped_reason="it refused our password.", retry_at=now, is_stop_permanent=True
    )
    Message.objects.filter(sender=alice).update(paused_at=now)
    html = signed_in(ada).get(PAGE).content.decode()
    assert "it refused our password." in html
    assert "needs new settings" in html
    assert numbers(html)[3] == "3"  # the paused message's rows that wait
    assert "Paused messages: 1" in html


def test_a_pump_that_died_is_shown_as_gone(signed_in, world, ada):
    slots.PumpSlot.objects.update(until=timezone.now() - timedelta(minutes=5))
    html = signed_in(ada).get(PAGE).content.decode()
    assert "Gone" in html
    assert "0 of 2 open" in html


def test_counts_are_bounded(signed_in, world, root, monkeypatch):
    monkeypatch.setattr(operations, "COUNTED", 1)
    assert numbers(signed_in(root).get(PAGE).content.decode()) == ["1+", "0", "1+", "0", "1+"]


def test_no_query_for_each_row(signed_in, world, root, globex):
    client = signed_in(root)
    client.get(PAGE)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(PAGE)
    for number in range(5):
        provider = make_provider(globex, is_default=False, name=f"more {number}")
        ProviderLimit.objects.create(provider=provider, amount=30, seconds=60)
        slots.take(provider)
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE)
    assert len(many) == len(few)


@pytest.mark.skipif("sqlite" not in connection.settings_dict["ENGINE"], reason="PostgreSQL plans by its statistics")
@pytest.mark.parametrize("who", ["root", "ada"])
@pytest.mark.parametrize("path", [PAGE, "/admin/messaging/delivery/?state__exact=in_doubt"])
def test_each_query_is_answered_by_a_small_index(signed_in, world, request, who, path):
    client = signed_in(request.getfixturevalue(who))
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    for query in (query["sql"] for query in asked if 'FROM "messaging_delivery"' in query["sql"]):
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + query.replace("%", "%%"))
            plan = " | ".join(row[3] for row in cursor.fetchall() if "messaging_delivery" in row[3])
        assert not re.search(
            r"SCAN messaging_delivery(?! USING (COVERING )?INDEX delivery_(due|leased|in_doubt))", plan
        ), plan
        assert "messaging_delivery_organization_id" not in plan, f"{plan}: {query}"


# ---- /metrics ----------------------------------------------------------------------------------------------------------
def scrape(client, token=TOKEN, scheme="Bearer"):
    return client.get("/metrics", headers={"authorization": f"{scheme} {token}"})


def test_metrics_are_off_without_a_token(client, world, settings):
    assert settings.METRICS_TOKEN == ""
    assert client.get("/metrics").status_code == 404
    assert scrape(client, "").status_code == 404


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer é"]
)
def test_metrics_need_the_token(client, world, settings, header):
    settings.METRICS_TOKEN = TOKEN
    answer = client.get("/metrics", headers={} if header is None else {"authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "pitch_" not in answer.content.decode()


def test_a_signed_in_operator_needs_it_too(signed_in, root, settings):
    settings.METRICS_TOKEN = TOKEN
    assert signed_in(root).get("/metrics").status_code == 401


def test_metrics_say_what_the_page_says(client, world, settings):
    settings.METRICS_TOKEN = TOKEN
    EmailProvider.objects.filter(pk=world.pk).update(stopped_at=timezone.now(), is_stop_permanent=True)
    answer = scrape(client)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "no-store" in answer["Cache-Control"]
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }
    assert found["pitch_queue_deliveries", "due", "personal"] == 2
    assert found["pitch_queue_deliveries", "later", "personal"] == 2
    assert found["pitch_queue_deliveries", "bulk", "later"] == 2
    assert found["pitch_queue_leased",] == 2
    assert found["pitch_deliveries_in_doubt",] == 2
    assert found["pitch_pumps", "alive"] == 2
    assert 0 <= found["pitch_worker_age_seconds", "send"] < 60
    ours = sorted([world.code, "acme"])
    assert found["pitch_provider_stopped", *ours] == 1
    assert found["pitch_provider_stopped_permanently", *ours] == 1
    assert found["pitch_provider_connections", *ours] == 1
    assert found["pitch_provider_connections_allowed", *ours] == 2
    assert found["pitch_provider_connections_max", *ours] == 3
    assert found["pitch_provider_room_mails", *sorted([world.code, "acme", "60"])] == 26
    assert found["pitch_deliveries_ended_badly", "5.1.1", "bounced"] == 4
    assert found["pitch_deliveries_ended_badly", "554", "dropped"] == 2


def test_metrics_give_nothing_away(client, world, settings):
    settings.METRICS_TOKEN = TOKEN
    Delivery.objects.filter(state="bounced").update(reply_text='5.1.1 "x\\" \n anna@torvald.example unknown')
    text = scrape(client).content.decode()
    for secret in ("@", "Secret", "example", "relay", "unknown", TOKEN):
        assert secret not in text, secret


def test_metrics_are_read_only(client, world, settings):
    settings.METRICS_TOKEN = TOKEN
    assert client.post("/metrics").status_code == 405
