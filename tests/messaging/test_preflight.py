"""Before sending: who is skipped and why, which limits apply, how long it takes; and nothing where nothing is to be said."""

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from messaging.models import Delivery, Message, ProviderLimit, Suppression, Unsubscribe
from messaging.services.recipients import ParsedAddress
from tests.messaging.wire import send, states

ANNA = ParsedAddress("Anna Torvald", "anna@torvald.example")
BEN = ParsedAddress("Ben", "Ben@Ohm.example")


def ask(client, message):
    return client.get(reverse("messaging:message-preflight", args=[message.code]))


def words(answer):
    return " ".join(answer.content.decode().split())


def opt_out(organization, key="anna@torvald.example", **fields):
    return Unsubscribe.objects.create(organization=organization, address_key=key, **fields)


def test_nothing_is_said_where_nothing_is_to_be_said(signed_in, alice, compose, provider, globex):
    ProviderLimit.objects.create(provider=provider, amount=30, seconds=60)
    opt_out(globex)  # another organization's matter
    Suppression.objects.create(
        organization=alice.organization, address_key=ANNA.key, reason="bounce", lifted_at=timezone.now()
    )
    opt_out(alice.organization, "ben@ohm.example", ended_at=timezone.now())
    answer = ask(signed_in(alice), compose(to=[ANNA, BEN]))
    assert (answer.status_code, answer.content) == (204, b"")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    ("reason", "detail", "sentence"),
    [
        ("", "", "Ben asked for no more mails from your organization."),
        ("bounce", "550 5.1.1 no such user", "Earlier mails to Ben came back: 550 5.1.1 no such user"),
        ("bounce", "", "Earlier mails to Ben came back: the address does not exist"),
        ("complaint", "", "Ben reported an earlier mail as spam."),
        ("manual", "", "Ben is not written to: an administrator wants it so."),
    ],
)
def test_who_is_skipped_is_named_with_the_reason_and_then_is_skipped(
    signed_in, alice, acme, compose, server, reason, detail, sentence
):
    if reason:
        Suppression.objects.create(organization=acme, address_key="ben@ohm.example", reason=reason, detail=detail)
    else:
        opt_out(acme, "ben@ohm.example")
    message = compose(to=[ANNA, BEN])
    client = signed_in(alice)
    assert f"Skipped: {sentence}" in words(ask(client, message))
    page = client.get(reverse("messaging:message-edit", args=[message.code])).content.decode()
    assert "One mail, from you by your organization" in page
    message = send(message)
    assert states(message) == ["accepted", "skipped"]
    assert [mail.rcpt_to for mail in server.mails] == [["anna@torvald.example"]]
    row = message.deliveries.get(state="skipped")
    assert row.error_enum == ("suppressed" if reason else "userUnsubscribeFromThisGroup")
    assert row.error_description.replace("This person", "Ben").replace("this address", "Ben") == sentence


def test_many_who_are_skipped_are_folded_and_nobody_left_is_a_warning(signed_in, alice, acme, compose):
    people = [ParsedAddress(f"Person <{n}>", f"p{n}@many.example") for n in range(4)]
    for one in people:
        opt_out(acme, one.key)
    message = compose(to=people[:2], bcc=people[2:])
    client = signed_in(alice)
    said = words(ask(client, message))
    assert "4 people are skipped</summary>" in said
    assert "Person &lt;3&gt; asked for no more mails" in said
    page = client.get(reverse("messaging:message-edit", args=[message.code])).content.decode()
    assert "Everybody named here is skipped; no mail would leave." in page


def test_forty_mails_at_thirty_a_minute_take_about_two_minutes(signed_in, alice, compose, provider):
    ProviderLimit.objects.create(provider=provider, amount=30, seconds=60)
    ProviderLimit.objects.create(provider=provider, amount=10_000, seconds=86400)
    to = [f"to{n}@many.example" for n in range(20)]
    bcc = [f"bcc{n}@many.example" for n in range(20)]
    said = words(ask(signed_in(alice), compose(to=to, bcc=bcc)))
    assert "40 mails, about 2 minutes: your mail server takes 30 mails a minute." in said
    assert "a day" not in said
    assert "go first" not in said


@pytest.mark.parametrize(
    ("amount", "seconds", "sentence"),
    [
        (1, 60, "3 mails, about 3 minutes: your mail server takes 1 mail a minute."),
        (1, 3600, "3 mails, about 2 hours: your mail server takes 1 mail an hour."),
        (1, 86400, "3 mails, about 2 days: your mail server takes 1 mail a day."),
    ],
)
def test_the_time_is_said_in_the_unit_that_fits(signed_in, alice, compose, provider, amount, seconds, sentence):
    ProviderLimit.objects.create(provider=provider, amount=amount, seconds=seconds)
    said = words(ask(signed_in(alice), compose(to=[ANNA, BEN, "c@c.example"])))
    assert sentence in said


@time_machine.travel("2026-03-02T10:00:01Z", tick=True)
def test_mails_that_wait_already_and_what_was_spent_count(signed_in, alice, compose, provider, server):
    limit = ProviderLimit.objects.create(provider=provider, amount=2, seconds=3600)
    send(compose(to=[ANNA, BEN, "c@c.example", "e@e.example"]))
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["accepted", "accepted", "queued", "queued"]
    limit.refresh_from_db()
    assert sum(limit.spent.values()) == 2
    message = compose(to=["d@d.example"])
    said = words(ask(signed_in(alice), message))
    assert "One mail, about 2 hours: your mail server takes 2 mails an hour. 2 other mails go first." in said
    Message.objects.filter(status="sending").update(paused_at=timezone.now())
    said = words(ask(signed_in(alice), message))
    assert "One mail, about 61 minutes: your mail server takes 2 mails an hour.</span>" in said


def test_a_mail_server_that_has_stopped_is_said_with_its_reason(signed_in, alice, compose, provider):
    provider.stopped_at, provider.stopped_reason = timezone.now(), "The server does not take the password."
    provider.save()
    said = words(ask(signed_in(alice), compose()))
    assert "Your mail server takes no mails at the moment: The server does not take the password." in said
    assert "What you send waits until it does." in said


def test_without_a_mail_server_only_the_skipped_are_said(signed_in, alice, acme, compose, provider):
    provider.delete()
    message = compose(to=[ANNA, "not an address"])
    assert ask(signed_in(alice), message).status_code == 204
    opt_out(acme)
    assert "Anna Torvald asked for no more mails" in words(ask(signed_in(alice), message))


def test_only_the_own_draft_has_a_preflight(signed_in, alice, bob, compose):
    message = compose()
    assert ask(signed_in(bob), message).status_code == 404
    assert ask(signed_in(alice), message).status_code == 204
    Message.objects.update(status="completed", send_after=timezone.now())
    assert ask(signed_in(alice), message).status_code == 404
