"""Files of videos: byte ranges as players ask for them, headers, and addresses that cannot be guessed, altered or kept."""

import time

import pytest
from django.http import StreamingHttpResponse

from tests.videos.tus import make_ready
from videos.models import Video
from videos.services import library, media
from videos.views.media import OPEN_RANGE

pytestmark = pytest.mark.django_db
FILM = bytes(range(250)) * 4


def body(answer):
    return b"".join(answer.streaming_content) if isinstance(answer, StreamingHttpResponse) else answer.content


@pytest.fixture
def video(alice):
    return make_ready(alice, FILM)


@pytest.fixture
def get(client, video):
    """Return a function that asks for the film as a visitor, who is not signed in."""
    address = media.video_url(video)
    return lambda method="get", **headers: getattr(client, method)(address, headers=headers)


def test_the_whole_film(get):
    answer = get()
    assert answer.status_code == 200
    assert body(answer) == FILM
    assert answer["Content-Type"] == "video/mp4"
    assert answer["Content-Length"] == "1000"
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == 'inline; filename="video.mp4"'
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "private" in answer["Cache-Control"]
    assert answer["X-Robots-Tag"] == "noindex"
    assert answer["ETag"].startswith('"')


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=990-", 990, 999),
        ("bytes=0-", 0, 999),
        ("bytes=990-5000", 990, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-5000", 0, 999),
        (f"bytes=990-{'9' * 5000}", 990, 999),
        (f"bytes=-{'9' * 5000}", 0, 999),
        (f"bytes={'0' * 5000}990-995", 990, 995),
    ],
)
def test_one_range(get, asked, first, last):
    answer = get(Range=asked)
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {first}-{last}/1000"
    assert answer["Content-Length"] == str(last - first + 1)
    assert body(answer) == FILM[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=1000-1001", "bytes=-0", f"bytes={'1' * 5000}-"])
def test_a_range_outside_the_file(get, asked):
    answer = get(Range=asked)
    assert answer.status_code == 416
    assert answer["Content-Range"] == "bytes */1000"
    assert body(answer) == b""


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=5-1", "bytes=-", "bytes=a-b", "pages=1-2", "bytes 0-1", ""])
def test_what_is_no_single_range_gets_the_whole_film(get, asked):
    answer = get(Range=asked)
    assert answer.status_code == 200
    assert body(answer) == FILM


def test_an_open_range_is_answered_in_parts(client, alice):
    video = make_ready(alice, b"x" * (OPEN_RANGE + 10))
    address = media.video_url(video)
    answer = client.get(address, headers={"Range": "bytes=5-"})
    assert answer["Content-Range"] == f"bytes 5-{OPEN_RANGE + 4}/{OPEN_RANGE + 10}"
    assert len(body(answer)) == OPEN_RANGE
    # Who names an end gets all of it.
    assert len(body(client.get(address, headers={"Range": f"bytes=0-{OPEN_RANGE + 9}"}))) == OPEN_RANGE + 10


def test_if_range_goes_on_only_with_the_same_file(get):
    whole = get()
    for same in (whole["ETag"], whole["Last-Modified"]):
        assert get(**{"Range": "bytes=0-9", "If-Range": same}).status_code == 206
    for other in ('"another"', "Mon, 01 Jan 2001 00:00:00 GMT", "W/" + whole["ETag"], "nonsense"):
        answer = get(**{"Range": "bytes=0-9", "If-Range": other})
        assert answer.status_code == 200
        assert body(answer) == FILM


def test_a_file_the_browser_has_is_not_sent_again(get):
    etag = get()["ETag"]
    for known in (etag, f'"x", {etag}', f"W/{etag}"):
        answer = get(**{"If-None-Match": known})
        assert (answer.status_code, body(answer)) == (304, b"")
    assert get(**{"If-None-Match": '"x"'}).status_code == 200


def test_head_tells_the_size_and_knows_no_ranges(get):
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = get("head", **headers)
        assert (answer.status_code, answer["Content-Length"], body(answer)) == (200, "1000", b"")
    assert get("post").status_code == 405


def test_the_file_is_closed_when_the_visitor_leaves(get):
    answer = get()
    file = answer._resource_closers[0].__self__.file
    next(iter(answer.streaming_content))
    answer.close()
    assert file.closed


@pytest.mark.abuse("A42")
def test_forged_altered_expired_and_unknown_addresses_are_404(client, video, alice, bob, monkeypatch):
    other = make_ready(bob)
    _, _, code, kind, expires, mac, name = media.video_url(video).split("/")
    wrong = mac[:-1] + ("A" if mac[-1] != "A" else "B")
    for altered in (
        [code, kind, expires, wrong, name],
        [code, kind, expires, mac[:-2], name],
        [code, kind, expires, "ü" + mac[1:], name],
        [code, kind, str(int(expires) + 3600), mac, name],
        [code, kind, "0", mac, name],
        [code, "poster", expires, mac, name],
        [code, "original", expires, mac, name],
        [other.code, kind, expires, mac, name],
        ["none" * 4, kind, expires, mac, name],
    ):
        answer = client.get("/media/" + "/".join(altered))
        assert answer.status_code == 404, altered
    address = media.video_url(video, seconds=60)
    assert client.get(address).status_code == 200
    later = time.time() + 2 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert client.get(address).status_code == 404
    assert client.get(media.thumbnail_url(video)).status_code == 200  # a mail may be read years later


@pytest.mark.abuse("A42")
def test_deleted_is_gone_at_once_with_poster_picture_and_ranges(client, video):
    addresses = [media.video_url(video), media.poster_url(video), media.thumbnail_url(video)]
    etag = client.get(addresses[0])["ETag"]
    for address in addresses:
        assert client.get(address).status_code == 200
    library.delete(video)
    for address in addresses:
        for headers in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=0-9", "If-Range": etag}, {"If-None-Match": etag}):
            assert client.get(address, headers=headers).status_code == 404
        assert client.head(address).status_code == 404


def test_a_video_that_is_not_ready_or_whose_file_is_lost_is_404(client, alice, video):
    failed = make_ready(alice, state=Video.State.FAILED)
    assert client.get(media.video_url(failed)).status_code == 404
    (settings_path := media.find(*parts(video))).path.unlink()
    assert settings_path.content_type == "video/mp4"
    assert client.get(media.video_url(video)).status_code == 404


def parts(video):
    _, _, code, kind, expires, mac, _name = media.video_url(video).split("/")
    return code, kind, int(expires), mac


def test_a_proxy_in_front_may_send_the_file(client, video, settings):
    settings.MEDIA_ACCEL_PREFIX = "/protected/"
    answer = client.get(media.poster_url(video))
    assert answer["X-Accel-Redirect"] == f"/protected/{video.poster_path}"
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.content == b""
    library.delete(video)
    assert client.get(media.poster_url(video)).status_code == 404
