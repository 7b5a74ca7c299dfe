"""The recipient's own page: what it shows, what it keeps to itself, what it answers to wrong links."""

import gzip
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.staticfiles import finders
from django.utils import timezone

from messaging.models import Delivery, DeliveryEvent, Visit
from tests.messaging.landing_world import landing_path, make_delivery, make_message, make_video, unsubscribe_path
from videos.models import Video


@pytest.fixture
def delivery(alice):
    return make_delivery(make_message(alice, make_video(alice)))


@pytest.mark.req("R391")
def test_page_greets_shows_the_video_the_text_and_the_sender(client, delivery, alice):
    alice.title, alice.phone = "Customer Success", "+49 40 5550 0142"
    alice.save()
    page = client.get(landing_path(delivery))
    html = page.content.decode()
    assert page.status_code == 200
    assert "Hi Anna" in html
    assert "Alice recorded 42 seconds for you" in html
    assert re.search(r'<video controls playsinline preload="metadata" poster="/media/[^"]+"', html)
    assert f"/media/{delivery.message.video.code}/video/" in html
    assert "autoplay" not in html
    assert "<p>Thank you for the tour.</p>" in html
    for words in ("Customer Success", "Acme", "+49 40 5550 0142", "Alice can see whether you watch this"):
        assert words in html
    assert "mailto:alice@acme.test?subject=Re%3A%20Hamburg%3A%20two%20answers" in html
    assert unsubscribe_path(delivery) in html
    assert f"/brand/{delivery.organization.code}.css" in html


def test_reply_goes_to_the_reply_address_when_one_is_set(client, alice):
    delivery = make_delivery(make_message(alice, make_video(alice), reply_to="team@acme.test"))
    assert "mailto:team@acme.test?subject=" in client.get(landing_path(delivery)).content.decode()


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Anna Torvald", "Hi Anna"),
        ("Torvald, Anna", "Hi Anna"),
        ("Dr. Anna Torvald", "Hi Anna"),
        ("", "Hello"),
        ("<script>alert(1)</script> X", "Hi &lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_greeting(client, alice, name, greeting):
    delivery = make_delivery(make_message(alice, make_video(alice)), name=name)
    assert f"<h1>{greeting}</h1>" in client.get(landing_path(delivery)).content.decode()


@pytest.mark.abuse("A9", "A10", "A38")
def test_page_is_kept_out_of_caches_search_engines_frames_and_referers(client, delivery):
    page = client.get(landing_path(delivery))
    assert page["Cache-Control"] == "private, no-store"
    assert page["Referrer-Policy"] == "no-referrer"
    assert "noindex" in page["X-Robots-Tag"]
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"
    html = page.content.decode()
    assert '<meta name="robots" content="noindex' in html
    assert not page.cookies
    assert not re.search(r'(?:src|href)="(?:https?:)?//(?!testserver)', html), "something is loaded from elsewhere"
    assert "<script>" not in html
    assert " style=" not in html


def test_link_preview_names_the_sender_but_never_the_recipient(client, delivery):
    head = client.get(landing_path(delivery)).content.decode().split("</head>")[0]
    assert 'property="og:title" content="Alice sent you a video"' in head
    assert re.search(r'property="og:image" content="http://pitch\.test/media/', head)
    assert "Anna" not in head


@pytest.mark.abuse("A9")
def test_unknown_and_forged_links_are_all_the_same_404(client, delivery, django_assert_num_queries):
    good = landing_path(delivery).rsplit("/", 1)[1]
    other = unsubscribe_path(delivery).rsplit("/", 1)[1]
    other_code = ("b" if good[0] == "a" else "a") + good[1:]
    wrong = ["x", good[:-1] + ("A" if good[-1] != "A" else "B"), other_code, good[:16], other, "é" * 39, good + "0"]
    answers = []
    with django_assert_num_queries(0):  # the MAC is checked before anybody asks the database
        for token in wrong:
            answers.append(client.get(f"/v/{token}"))
    Delivery.objects.all().delete()
    answers.append(client.get(f"/v/{good}"))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
    assert "This link is not complete" in answers[0].content.decode()


@pytest.mark.abuse("A9")
@time_machine.travel(timezone.now(), tick=False)  # all of it within one minute
def test_guessing_is_slowed_down_but_real_links_go_on_working(client, delivery):
    answers = [client.get(f"/v/guess{number}").status_code for number in range(32)]
    assert answers[:30] == [404] * 30
    assert answers[30:] == [429] * 2
    assert client.get(landing_path(delivery)).status_code == 200
    assert client.get("/v/guess", REMOTE_ADDR="198.51.100.7").status_code == 404


@pytest.mark.parametrize(
    ("change", "words", "status"),
    [
        ({"link_revoked_at": timezone.now()}, "Alice has withdrawn this video", 410),
        ({"link_expires_at": timezone.now() - timedelta(days=1)}, "This video has expired", 410),
    ],
)
def test_withdrawn_and_expired_links_say_so_and_name_the_sender(client, delivery, change, words, status):
    Delivery.objects.filter(pk=delivery.pk).update(**change)
    page = client.get(landing_path(delivery))
    html = page.content.decode()
    assert page.status_code == status
    assert words in html
    assert "mailto:alice@acme.test" in html
    assert "<video" not in html
    assert "/media/" not in html


@pytest.mark.abuse("A42")
def test_a_deleted_video_is_gone_at_once(client, delivery):
    Video.objects.update(deleted_at=timezone.now())
    page = client.get(landing_path(delivery))
    assert page.status_code == 410
    assert "This video is no longer here" in page.content.decode()
    assert "/media/" not in page.content.decode()


def test_a_failed_video_says_so(client, delivery):
    Video.objects.update(state=Video.State.FAILED)
    assert "could not be prepared" in client.get(landing_path(delivery)).content.decode()


def test_a_video_that_is_still_converted_opens_by_itself(client, delivery):
    Video.objects.update(state=Video.State.PROCESSING, progress=62)
    html = client.get(landing_path(delivery)).content.decode()
    assert "Almost ready" in html
    assert '<meta http-equiv="refresh" content="5">' in html
    assert 'value="62"' in html
    Video.objects.update(state=Video.State.READY)
    assert "<video" in client.get(landing_path(delivery)).content.decode()


def test_an_organization_that_was_switched_off_has_no_pages(client, delivery, acme):
    acme.is_active = False
    acme.save()
    assert client.get(landing_path(delivery)).status_code == 404


def test_one_query_makes_the_page_and_looking_writes_nothing(client, delivery, django_assert_num_queries):
    before = Delivery.objects.values().get()
    with django_assert_num_queries(1):
        client.get(landing_path(delivery))
    client.head(landing_path(delivery))
    assert Delivery.objects.values().get() == before
    assert not Visit.objects.exists()
    assert not DeliveryEvent.objects.exists()


def test_fifty_kilobytes_are_enough_for_everything_but_the_media(client, delivery):
    html = client.get(landing_path(delivery)).content
    total = len(gzip.compress(html))
    files = set(re.findall(r'"/static/([^"#]+)', html.decode()))
    assert {"css/landing.css", "js/landing.js", "img/icons.svg"} <= files
    for name in files:
        with open(finders.find(name), "rb") as file:
            total += len(gzip.compress(file.read()))
    total += len(client.get(f"/brand/{delivery.organization.code}.css").content)
    assert total <= 50_000


def test_a_test_mail_reports_nothing(client, alice):
    delivery = make_delivery(make_message(alice, make_video(alice), is_test=True))
    html = client.get(landing_path(delivery)).content.decode()
    assert "<video" in html
    assert "data-visit" not in html
    assert "landing.js" not in html


def test_page_does_not_depend_on_who_is_signed_in(signed_in, delivery, charlie):
    page = signed_in(charlie).get(landing_path(delivery)).content.decode()
    assert page.count("Globex") == 0
    assert "Acme" in page
