"""Opting out: a look changes nothing, a POST acts, once, for one person, years later, without cookies."""

import time

import pytest
from django.test import Client

from messaging.models import Delivery, DeliveryEvent, Unsubscribe
from messaging.services import unsubscribes
from pitch.lib import signing
from tests.messaging.landing_world import landing_path, make_delivery, make_message, make_video, unsubscribe_path


@pytest.fixture
def delivery(alice):
    return make_delivery(make_message(alice, make_video(alice)))


@pytest.fixture
def stranger():
    """A mail program: no cookies, CSRF checks on."""
    return Client(enforce_csrf_checks=True)


@pytest.mark.abuse("A25")
def test_looking_changes_nothing(stranger, delivery):
    for method in (stranger.get, stranger.head):
        assert method(unsubscribe_path(delivery)).status_code == 200
    html = stranger.get(unsubscribe_path(delivery)).content.decode()
    assert "Opening this page changed nothing." in html
    assert "anna@torvald.example" in html
    assert not Unsubscribe.objects.exists()
    assert not DeliveryEvent.objects.exists()
    assert stranger.put(unsubscribe_path(delivery)).status_code == 405


@pytest.mark.abuse("A25")
def test_one_click_of_a_mail_program(stranger, delivery):
    for _again in range(3):
        answer = stranger.post(
            unsubscribe_path(delivery), "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code == 200
        assert not answer.cookies
    row = Unsubscribe.objects.get()
    assert (row.address_key, row.group, row.source) == ("anna@torvald.example", "", "one-click")
    assert unsubscribes.is_unsubscribed(delivery.organization_id, "anna@torvald.example")
    delivery.refresh_from_db()
    assert delivery.unsubscribed_at is not None
    event = DeliveryEvent.objects.get()
    assert (event.kind, event.verdict) == ("unsubscribed", "human")


def test_the_form_opts_out_and_takes_it_back(stranger, delivery):
    html = stranger.post(unsubscribe_path(delivery)).content.decode()
    assert "That was a mistake" in html
    assert Unsubscribe.objects.get().source == "page"
    undo = html.split('name="undo" value="')[1].split('"')[0]
    html = stranger.post(unsubscribe_path(delivery), {"undo": undo}).content.decode()
    assert "Taken back" in html
    assert not unsubscribes.is_unsubscribed(delivery.organization_id, "anna@torvald.example")
    assert Delivery.objects.get().unsubscribed_at is None
    assert Unsubscribe.objects.get().ended_at is not None
    stranger.post(unsubscribe_path(delivery))
    assert Unsubscribe.objects.count() == 2
    assert unsubscribes.is_unsubscribed(delivery.organization_id, "anna@torvald.example")


@pytest.mark.abuse("A27")
def test_nobody_is_brought_back_by_an_old_mail(stranger, delivery, monkeypatch):
    html = stranger.post(unsubscribe_path(delivery)).content.decode()
    undo = html.split('name="undo" value="')[1].split('"')[0]
    late = time.time() + unsubscribes.UNDO_SECONDS + 5
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: late)
        page = stranger.post(unsubscribe_path(delivery), {"undo": undo})
        assert "within the hour" in page.content.decode()
    for forged in ("", "1", "99999999999.x", "abc.def", undo[:-1] + "_"):
        stranger.post(unsubscribe_path(delivery), {"undo": forged})
    assert unsubscribes.is_unsubscribed(delivery.organization_id, "anna@torvald.example")
    assert "That was a mistake" not in stranger.get(unsubscribe_path(delivery)).content.decode()


@pytest.mark.abuse("A27")
def test_a_link_of_another_purpose_or_person_opts_nobody_out(stranger, delivery):
    landing = landing_path(delivery).rsplit("/", 1)[1]
    good = unsubscribe_path(delivery).rsplit("/", 1)[1]
    other = make_delivery(delivery.message, name="Kofi", address="kofi@torvald.example")
    wrong = [landing, other.code + good[16:], good[:-1] + ("A" if good[-1] != "A" else "B"), "x"]
    answers = [stranger.post(f"/u/{token}", {"List-Unsubscribe": "One-Click"}) for token in wrong]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert not Unsubscribe.objects.exists()


def test_it_holds_for_the_organization_and_for_no_other(stranger, delivery, globex):
    stranger.post(unsubscribe_path(delivery))
    assert not unsubscribes.is_unsubscribed(globex.pk, "anna@torvald.example")
    assert not unsubscribes.is_unsubscribed(delivery.organization_id, "kofi@torvald.example")
    assert not unsubscribes.is_unsubscribed(delivery.organization_id, "")


def test_a_link_under_an_older_key_works_for_ever(stranger, delivery, settings):
    path = unsubscribe_path(delivery)
    settings.PITCH_LINK_KEYS = [*settings.PITCH_LINK_KEYS, "k" * 40]
    assert path.rsplit("/", 1)[1] != signing.sign("unsubscribe", delivery.code)
    assert stranger.post(path).status_code == 200
    assert Unsubscribe.objects.exists()


def test_whoever_opts_out_has_the_mail(stranger, delivery):
    Delivery.objects.update(state=Delivery.State.IN_DOUBT)
    stranger.get(unsubscribe_path(delivery))
    assert Delivery.objects.get().state == Delivery.State.IN_DOUBT
    stranger.post(unsubscribe_path(delivery))
    assert Delivery.objects.get().state == Delivery.State.ACCEPTED


def test_the_page_is_kept_private(stranger, delivery):
    page = stranger.get(unsubscribe_path(delivery))
    assert page["Cache-Control"] == "private, no-store"
    assert page["Referrer-Policy"] == "no-referrer"
    assert "noindex" in page["X-Robots-Tag"]
