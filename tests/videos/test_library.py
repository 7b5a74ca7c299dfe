"""The library: own videos, search, names, and deleting with the consequence named."""

import re

import pytest
from django.utils import timezone

from messaging.models import Delivery
from tests.messaging.landing_world import make_delivery, make_message
from tests.videos.tus import create, files_left, make_ready, patch, row
from videos.models import Video

pytestmark = pytest.mark.django_db


@pytest.fixture
def video(alice):
    return make_ready(alice)


def page_of(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_own_videos_newest_first_and_nobody_elses(alice_client, alice, bob, charlie, video):
    make_ready(alice, title="Newer")
    make_ready(alice, title="Gone", deleted_at=timezone.now())
    make_ready(bob, title="Bob's")
    make_ready(charlie, title="Charlie's")
    page = page_of(alice_client, "/videos/")
    assert page.index("Newer") < page.index("Two answers")
    assert not any(name in page for name in ("Gone", "Bob", "Charlie"))
    assert "2 videos" in page
    assert "0:42" in page


def test_every_state_has_its_words(alice_client, alice):
    for state in ("receiving", "processing", "failed"):
        Video.objects.create(organization=alice.organization, owner=alice, state=state)
    page = page_of(alice_client, "/videos/")
    assert all(words in page for words in ("Not finished", "Converting", "Could not be converted"))


def test_search_by_name(alice_client, alice, video):
    make_ready(alice, title="Quarterly review")
    page = page_of(alice_client, "/videos/?q=quarter")
    assert "Quarterly review" in page
    assert "Two answers" not in page
    assert "Quarterly review" in page_of(alice_client, "/videos/?q=%00quarter")
    assert "No video has that name" in page_of(alice_client, "/videos/?q=nothing")


def test_an_empty_library_says_how_to_begin(alice_client):
    assert "No video yet" in page_of(alice_client, "/videos/")


def test_the_page_of_a_video_plays_it(alice_client, client, video):
    page = page_of(alice_client, f"/videos/{video.code}/")
    status = alice_client.get(f"/videos/{video.code}/status").json()
    assert (status["state"], status["duration_ms"], status["error"]) == ("ready", 42_000, "")
    assert status["mp4"] in page
    assert status["poster"] in page
    assert client.get(status["mp4"]).status_code == 200
    assert "Send it" in page


def test_a_failed_video_says_why_and_offers_no_sending(alice_client, alice):
    video = Video.objects.create(
        organization=alice.organization, owner=alice, state="failed", error="This file is not a video."
    )
    page = page_of(alice_client, f"/videos/{video.code}/")
    assert "This file is not a video." in page
    assert "Send it" not in page
    assert alice_client.get(f"/videos/{video.code}/status").json()["mp4"] is None


def test_rename(alice_client, video):
    answer = alice_client.post(
        f"/videos/{video.code}/rename", {"title": " Hamburg\u202e: two\x07 answers " + "x" * 300}
    )
    assert answer.status_code == 302
    video.refresh_from_db()
    assert video.title.startswith("Hamburg: two answers xxx")
    assert len(video.title) == 200
    assert alice_client.get(f"/videos/{video.code}/rename").status_code == 405


def test_deleting_names_the_consequence_first(alice_client, alice, video):
    address = f"/videos/{video.code}/"
    assert "Nobody was sent this video" in page_of(alice_client, address)
    for number in range(2):
        message = make_message(alice, video)
        for name in ("anna", f"kofi{number}"):  # anna got it twice and is one person
            make_delivery(message, address=f"{name}@many.example", accepted_at=timezone.now())
    make_delivery(message, address="refused@many.example", state=Delivery.State.BOUNCED)
    make_delivery(message, address="later@many.example", state=Delivery.State.QUEUED)
    make_delivery(make_message(alice, video, is_test=True), address="alice@acme.test", accepted_at=timezone.now())
    make_message(alice, video, status="draft")
    page = page_of(alice_client, address)
    assert "3 people who got this video will no longer be able to watch it." in page
    assert "1 person it is on its way to will get a mail without a video." in page
    assert "1 draft will have no video." in page
    assert "Delete it for everybody" in page
    assert "Nobody was sent this video" not in page
    assert "Deleting it cannot be undone." in page


def test_a_draft_is_not_everybody(alice_client, alice, video):
    make_message(alice, video, status="draft")
    page = page_of(alice_client, f"/videos/{video.code}/")
    assert "1 draft will have no video." in page
    assert "Nobody was sent this video. Deleting it cannot be undone." in page
    assert "Delete it for everybody" not in page
    assert re.search(r'<button class="btn btn--danger" type="submit">Delete</button>', page)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Delivery.State.SKIPPED, "1 person you made a personal link for will no longer be able to watch it."),
        (Delivery.State.IN_DOUBT, "1 person who may have got this video will not be able to watch it."),
    ],
)
def test_who_has_a_link_by_hand_or_in_doubt_is_counted_too(alice_client, alice, video, state, words):
    make_delivery(make_message(alice, video), address="anna@many.example", state=state)
    page = page_of(alice_client, f"/videos/{video.code}/")
    assert words in page
    assert "Delete it for everybody" in page


def test_who_opted_out_was_not_sent_it(alice_client, alice, video):
    fields = {"state": Delivery.State.SKIPPED, "error_enum": "userUnsubscribeFromThisGroup"}
    make_delivery(make_message(alice, video), address="anna@many.example", **fields)
    assert "Nobody was sent this video" in page_of(alice_client, f"/videos/{video.code}/")


def test_delete_removes_files_and_keeps_the_row(alice_client, video):
    assert alice_client.get(f"/videos/{video.code}/delete").status_code == 405
    assert alice_client.post(f"/videos/{video.code}/delete").status_code == 302
    assert files_left() == []
    video.refresh_from_db()
    assert video.deleted_at is not None
    assert video.title == "Two answers"
    for path in ("", "status"):
        assert alice_client.get(f"/videos/{video.code}/{path}").status_code == 404
    assert alice_client.post(f"/videos/{video.code}/delete").status_code == 404


def test_deleting_an_unfinished_recording_leaves_nothing(alice_client):
    answer = create(alice_client, source="recorded")
    patch(alice_client, answer["Location"], 0, b"bytes")
    alice_client.post(f"/videos/{answer['X-Video']}/delete")
    assert files_left() == []
    assert row(answer["Location"]).finished_at is not None


def test_colleague_and_stranger_get_404_and_change_nothing(client_of, video, bob, ada, charlie):
    for other in (bob, ada, charlie):
        theirs = client_of(other)
        assert theirs.get(f"/videos/{video.code}/").status_code == 404
        assert theirs.get(f"/videos/{video.code}/status").status_code == 404
        assert theirs.post(f"/videos/{video.code}/rename", {"title": "Mine"}).status_code == 404
        assert theirs.post(f"/videos/{video.code}/delete").status_code == 404
    video.refresh_from_db()
    assert (video.title, video.deleted_at) == ("Two answers", None)


def test_the_list_asks_as_often_for_many_as_for_few(alice_client, alice, django_assert_max_num_queries):
    for number in range(30):
        make_ready(alice, title=f"Take {number}")
    with django_assert_max_num_queries(6):
        page = page_of(alice_client, "/videos/")
    assert page.count('class="vid"') == 24
    assert "?page=2" in page
    assert page_of(alice_client, "/videos/?page=2").count('class="vid"') == 6


def test_the_page_of_a_video_asks_little(alice_client, alice, video, django_assert_max_num_queries):
    for number in range(10):
        make_delivery(make_message(alice, video), address=f"a{number}@many.example", accepted_at=timezone.now())
    with django_assert_max_num_queries(7):
        page_of(alice_client, f"/videos/{video.code}/")
