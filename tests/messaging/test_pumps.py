"""Pumps over slots: limits, fewer connections, fairness, priority, cancel in the middle, many rows."""

from collections import Counter

import pytest
import time_machine
from django.utils import timezone

from accounts.models import Organization
from messaging import limits, tasks
from messaging.models import Delivery, EmailProvider, Message, ProviderLimit, PumpSlot
from messaging.services import budgets, composing, journals, pumps, sending, slots
from messaging.transports.base import Envelope
from tests.messaging.wire import send, states

CONTENT = b"From: a@acme.test\r\nSubject: x\r\n\r\nHello\r\n"


def prebuilt(row, provider):
    """Return a mail that is ready: what these tests are about is the pump."""
    return Envelope("a@acme.test", row.address, CONTENT)


def queue_bulk(organization, provider, count, name="bulk"):
    """Queue an API bulk of `count` mails."""
    now = timezone.now()
    message = Message.objects.create(
        organization=organization, kind="api", status="sending", send_after=now, subject=name
    )
    Delivery.objects.bulk_create(
        Delivery(
            organization=organization, message=message, position=n, address=f"{name}{n}@x.example",
            address_key=f"{name}{n}@x.example", priority=10, provider=provider, next_at=now, date=now,
            internet_message_id=f"<{name}{n}@x.example>",
        )
        for n in range(count)
    )  # fmt: skip
    return message


@pytest.fixture
def one_connection(provider):
    EmailProvider.objects.update(max_connections=1)
    provider.refresh_from_db()
    return provider


def test_a_bulk_goes_out_once_each_and_completes(acme, one_connection, server):
    message = queue_bulk(acme, one_connection, 250)
    assert pumps.run(one_connection, render=prebuilt) == 250
    copies = Counter(mail.rcpt_to[0] for mail in server.mails)
    assert (len(copies), set(copies.values())) == (250, {1})
    message.refresh_from_db()
    assert message.status == Message.Status.COMPLETED
    assert set(states(message)) == {"accepted"}
    assert server.connections == 3  # a new one after each hundred mails
    assert not PumpSlot.objects.filter(until__isnull=False).exists()
    assert not list(journals.folder().glob("*"))


def test_personal_mail_does_not_wait_behind_a_bulk(acme, one_connection, server, compose):
    queue_bulk(acme, one_connection, 120)
    personal = composing.send(compose())
    EmailProvider.objects.update(max_connections=1)
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=21), tick=True):
        pumps.run(one_connection, render=prebuilt)
    order = [mail.rcpt_to[0] for mail in server.mails]
    assert order.index("anna@torvald.example") < limits.WINDOW
    assert states(personal) == ["accepted"]


def test_organizations_take_turns_at_a_shared_server(acme, globex, one_connection, server):
    """Globex comes later with a few; it does not wait for all of Acme's."""
    queue_bulk(acme, one_connection, 200, "acme")
    queue_bulk(globex, one_connection, 20, "globex")
    pumps.run(one_connection, render=prebuilt)
    order = [mail.rcpt_to[0] for mail in server.mails]
    assert max(index for index, address in enumerate(order) if address.startswith("globex")) < 60
    assert len(order) == 220


def test_cancel_stops_a_bulk_within_one_window(acme, one_connection, server):
    message = queue_bulk(acme, one_connection, 200)
    seen = []

    def cancel_at_twenty_five():
        seen.append(1)
        if len(seen) == 25:
            composing.cancel(message)

    def render(row, provider):
        cancel_at_twenty_five()
        return prebuilt(row, provider)

    pumps.run(one_connection, render=render)
    assert 25 <= len(server.mails) <= 25 + limits.WINDOW
    message.refresh_from_db()
    assert message.status == Message.Status.COMPLETED
    counts = Counter(states(message))
    assert counts == {"accepted": len(server.mails), "canceled": 200 - len(server.mails)}


def test_limits_are_never_passed_and_are_kept_over_restarts(acme, one_connection, server):
    """30 a minute, whatever is restarted in between: no minute ever holds more, and none is wasted."""
    ProviderLimit.objects.create(provider=one_connection, amount=30, seconds=60)
    queue_bulk(acme, one_connection, 100)
    sent = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for second in range(200):
            before = len(server.mails)
            for provider in EmailProvider.objects.filter(pumps.providers.usable()):
                pumps.run(provider, render=prebuilt)
            sent += [second] * (len(server.mails) - before)
            clock.shift(1)
    assert len(sent) == 100
    for start in range(200):
        assert sum(1 for moment in sent if start <= moment < start + 60) <= 30
    assert sent[-1] <= 3 * 62  # 30 at once, then as soon as the minute allows


def test_a_limit_says_honestly_how_long_it_takes(one_connection):
    limit = ProviderLimit.objects.create(provider=one_connection, amount=30, seconds=60)
    now = timezone.now()
    assert budgets.finish_time([limit], 30, now).total_seconds() == 0
    assert 60 <= budgets.finish_time([limit], 40, now).total_seconds() <= 62
    assert 1980 <= budgets.finish_time([limit], 1000, now).total_seconds() <= 1990


def test_what_was_reserved_and_not_used_is_given_back(acme, one_connection, server):
    limit = ProviderLimit.objects.create(provider=one_connection, amount=30, seconds=60)
    queue_bulk(acme, one_connection, 3)
    pumps.run(one_connection, render=prebuilt)
    limit.refresh_from_db()
    assert sum(limit.spent.values()) == 3


def test_too_many_connections_halves_them_and_burns_nobody(acme, provider, server):
    server.refuse_sender = "421 4.3.2 too many connections"
    message = queue_bulk(acme, provider, 5)
    pumps.run(provider, render=prebuilt)
    provider.refresh_from_db()
    assert provider.connections == provider.max_connections // 2
    assert set(states(message)) == {"queued"}
    assert set(message.deliveries.values_list("attempts", flat=True)) == {0}
    server.refuse_sender = ""
    with time_machine.travel(timezone.now() + timezone.timedelta(minutes=6), tick=True):
        sending.recover()
        provider.refresh_from_db()
        assert provider.connections == provider.max_connections // 2 + 1
        pumps.run(provider, render=prebuilt)
    assert set(states(message)) == {"accepted"}


def test_no_more_slots_are_held_than_the_provider_bears(provider):
    held = [slots.take(provider) for _n in range(provider.max_connections)]
    assert None not in held
    assert slots.take(provider) is None
    assert not slots.has_free(provider)
    slots.release(held[1].lease)
    assert slots.take(provider).row.number == 1


def test_a_slot_whose_holder_gives_no_news_is_taken_over(provider):
    EmailProvider.objects.update(max_connections=1)
    provider.refresh_from_db()
    assert slots.take(provider) is not None
    assert slots.take(provider) is None
    with time_machine.travel(timezone.now() + limits.SLOT + timezone.timedelta(seconds=1), tick=True):
        assert slots.take(provider) is not None


def test_one_broken_server_does_not_hold_up_another(acme, globex, provider, server, compose, settings):
    broken = EmailProvider.objects.create(
        organization=globex, host="127.0.0.1", port=1, security="none", is_guarded=False
    )
    theirs = queue_bulk(globex, broken, 3, "globex")
    pumps.run(broken, render=prebuilt)
    assert set(states(theirs)) == {"queued"}
    message = send(compose())
    assert states(message) == ["accepted"]
    broken.refresh_from_db()
    assert broken.stopped_at is not None


def test_a_mail_that_cannot_be_made_stops_only_itself(acme, one_connection, server):
    message = queue_bulk(acme, one_connection, 3)

    def render(row, provider):
        if row.address == "bulk1@x.example":
            raise RuntimeError("a bug in a template")
        return prebuilt(row, provider)

    pumps.run(one_connection, render=render)
    assert states(message) == ["accepted", "error", "accepted"]
    assert "could not be made" in message.deliveries.get(position=1).error_description


def test_mail_of_a_switched_off_organization_waits(acme, one_connection, server):
    message = queue_bulk(acme, one_connection, 3)
    Organization.objects.update(is_active=False)
    tasks.pump()
    assert set(states(message)) == {"queued"}
    assert server.mails == []
