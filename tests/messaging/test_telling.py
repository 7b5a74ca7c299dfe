"""A server that stops and a sender that is refused: administrators get one mail, on the wire, through a server that works."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import User
from messaging import tasks
from messaging.models import Delivery, EmailProvider, Message
from messaging.services import composing, providers
from messaging.transports.base import ProviderStopped
from pitch.schedules import SCHEDULES
from tests.conftest import make_user
from tests.fakes.mail_server import MailServer, serve
from tests.messaging.test_system_mail import parts_of
from tests.messaging.wire import send


@pytest.fixture(autouse=True)
def _through_providers(settings):
    settings.EMAIL_BACKEND = "messaging.system_mail.ProviderEmailBackend"


@pytest.fixture
def woken(monkeypatch):
    """Return the tasks the clock's sweep wakes."""
    found = []
    monkeypatch.setattr("messaging.services.telling.wake", lambda task, *ids: found.append(task))
    return found


@pytest.fixture
def other(server):
    """A second mail server."""
    handler = MailServer()
    controller = serve(handler)
    yield handler
    controller.stop()


@pytest.fixture
def shared(other):
    """The installation's shared provider, which sends through it."""
    return EmailProvider.objects.create(
        host="127.0.0.1", port=other.port, security="none", is_guarded=False, from_address="pitch@shared.test"
    )


def refuse_sign_in(provider):
    """Let a provider stop as a pump does when its password is refused."""
    provider.refresh_from_db()
    providers.stop(provider, ProviderStopped("The mail server refused our password.", permanent=True))


def sweep(woken, *, times=1, after=timedelta()):
    """Do what the clock does, and the tasks it wakes."""
    with time_machine.travel(timezone.now() + after, tick=True):
        for _time in range(times):
            woken.clear()
            (schedule,) = (one for one in SCHEDULES if "tell" in one.name)
            import_string(schedule.call)()
            for task in woken:
                assert task == "messaging.tasks.tell"
                tasks.tell()


def test_administrators_get_one_mail_through_the_shared_server(
    woken, provider, shared, other, server, ada, alice, acme
):
    zoe = make_user(acme, "zoe", User.Role.ADMINISTRATOR)
    make_user(acme, "gone", User.Role.ADMINISTRATOR, is_active=False)
    refuse_sign_in(provider)
    sweep(woken, times=3)
    assert [kept.rcpt_to for kept in other.mails] == [[ada.email], [zoe.email]]
    assert server.mails == []
    mail, text, html = parts_of(other.mails[0])
    assert mail["From"] == "pitch@shared.test"
    assert mail["Subject"] == "Pitch: a mail server has stopped"
    for part in (text, html):
        assert "The mail server refused our password." in part
        assert f"http://pitch.test/admin/messaging/emailprovider/{provider.pk}/change/" in part


def test_the_same_stop_is_told_once_however_often_it_is_tried_again(woken, provider, shared, other, ada):
    for hour in range(5):
        with time_machine.travel(timezone.now() + timedelta(hours=hour), tick=True):
            refuse_sign_in(provider)
        sweep(woken, after=timedelta(hours=hour))
    assert len(other.mails) == 1


def test_pumps_that_stop_it_side_by_side_make_one_stop(woken, provider, shared, other, ada):
    stale = EmailProvider.objects.get(pk=provider.pk)
    refuse_sign_in(provider)
    sweep(woken)
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        providers.stop(stale, ProviderStopped("The mail server refused our password.", permanent=True))
    sweep(woken, after=timedelta(hours=2))
    assert len(other.mails) == 1


def test_the_next_stop_is_told_again_but_not_one_after_another(woken, provider, shared, other, ada):
    refuse_sign_in(provider)
    sweep(woken)
    provider.refresh_from_db()
    providers.run_again(provider)
    refuse_sign_in(provider)
    sweep(woken)
    assert len(other.mails) == 1  # it comes and goes
    sweep(woken, after=timedelta(hours=2))
    assert len(other.mails) == 2


def test_a_server_that_is_away_for_a_moment_is_not_told_of(woken, provider, shared, other, ada):
    providers.stop(provider, ProviderStopped("It cannot be reached.", permanent=False))
    sweep(woken)
    assert other.mails == []
    sweep(woken, after=timedelta(minutes=16))
    assert len(other.mails) == 1


def test_it_waits_for_a_server_that_works(woken, provider, server, other, ada):
    refuse_sign_in(provider)
    sweep(woken, times=2)
    assert EmailProvider.objects.get(pk=provider.pk).told_at is None
    EmailProvider.objects.create(host="127.0.0.1", port=other.port, security="none", is_guarded=False)
    sweep(woken, times=2)
    assert [kept.rcpt_to for kept in other.mails] == [[ada.email]]


def test_a_refused_notice_is_not_tried_for_ever(woken, provider, shared, other, ada):
    other.refuse_sender = "550 5.7.1 not you"
    refuse_sign_in(provider)
    sweep(woken, times=3)
    assert len([line for line in other.log if line.startswith("MAIL")]) == 1
    assert EmailProvider.objects.get(pk=shared.pk).stopped_at is None


def test_a_notice_in_doubt_is_not_sent_another_way(woken, provider, shared, server, other, ada, acme):
    extra = MailServer()
    controller = serve(extra)
    fields = {"security": "none", "is_guarded": False, "is_default": False}
    EmailProvider.objects.create(organization=acme, host="127.0.0.1", port=extra.port, **fields)
    extra.hang_up_at = "dot"
    refuse_sign_in(provider)
    sweep(woken, times=3)
    controller.stop()
    assert (len(extra.mails), len(other.mails)) == (1, 0)


def test_the_shared_servers_stop_is_for_the_operators(woken, provider, shared, server, other, ada, root):
    refuse_sign_in(shared)
    sweep(woken, times=2)
    assert [kept.rcpt_to for kept in server.mails] == [[root.email]]
    assert other.mails == []


def test_it_does_not_go_through_one_of_several_organizations(woken, provider, shared, server, ada, root, globex):
    refuse_sign_in(shared)
    sweep(woken)
    assert server.mails == []


def test_a_refused_sender_is_told_once_and_stands_on_the_first_page(
    woken, provider, shared, other, server, compose, ada, signed_in, django_capture_on_commit_callbacks
):
    drafts = [compose(to=[f"{name}@torvald.example"]) for name in ("anna", "ben")]
    server.refuse_sender = "550 5.7.60 SendAsDenied; not allowed to send as this sender"
    for draft in drafts:
        send(draft)
    assert Message.objects.filter(paused_at__isnull=False, error_enum="senderRefused").count() == 2
    server.refuse_sender = ""
    sweep(woken, times=3)
    (kept,) = [*server.mails, *other.mails]
    mail, text, _html = parts_of(kept)
    assert kept.rcpt_to == [ada.email]
    assert mail["Subject"] == "Pitch: a sender is refused"
    assert "2 messages are paused" in text
    assert "SendAsDenied" in text
    html = signed_in(ada).get("/admin/").content.decode()
    assert "2 messages are paused: the mail server refuses their senders." in html
    listed = signed_in(ada).get("/admin/messaging/message/?error_enum__exact=senderRefused")
    assert listed.context["cl"].result_count == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {"queued"}


def test_a_pause_of_the_senders_own_is_not_told(woken, provider, shared, other, server, compose, ada):
    message = composing.send(compose())
    composing.pause(message)
    sweep(woken)
    assert [*server.mails, *other.mails] == []
