"""tus 1.0.0 as a browser speaks it: pieces, losses, refusals, and who may touch what."""

import io
import os
from datetime import timedelta

import pytest
from django.test import Client
from django.test.client import FakePayload
from django.utils import timezone
from django.utils.http import parse_http_date

from tests.videos.tus import BODY, VERSION, create, drop, files_left, finish, head, make_ready, patch, row
from videos import storage
from videos.models import Upload, Video
from videos.services import uploads

pytestmark = pytest.mark.django_db


class BrokenBody(FakePayload):
    """A body whose sender vanishes after `data`."""

    def __init__(self, data):
        super().__init__(data)
        self.promised = 10_000

    def __len__(self):
        return self.promised

    def read(self, size=-1):
        data = super().read(min(size, self._FakePayload__len)) if self._FakePayload__len else b""
        if not data:
            raise OSError("connection reset by peer")
        return data


def send_broken(client, address, offset, data):
    """PATCH with a body that ends before its Content-Length."""
    return client.generic(
        "PATCH",
        address,
        b"x",
        content_type=BODY,
        headers={**VERSION, "Upload-Offset": str(offset)},
        **{"wsgi.input": BrokenBody(data), "CONTENT_LENGTH": "10000"},
    )


@pytest.fixture
def recording(alice_client):
    """The address of a recording that has just begun."""
    return create(alice_client, source="recorded", filename="recording")["Location"]


def test_options_tell_what_the_server_can(client, settings):
    answer = client.options("/uploads/")
    assert answer.status_code == 204
    assert answer["Tus-Resumable"] == answer["Tus-Version"] == "1.0.0"
    assert set(answer["Tus-Extension"].split(",")) == {"creation", "creation-defer-length", "expiration", "termination"}
    assert answer["Tus-Max-Size"] == str(settings.VIDEO_MAX_BYTES)


def test_a_file_in_two_pieces(alice_client, alice, django_capture_on_commit_callbacks, queued):
    answer = create(alice_client, 11, filename="Hamburg.mp4", filetype="video/mp4", source="uploaded")
    assert answer.status_code == 201
    address = answer["Location"]
    assert answer["Tus-Resumable"] == "1.0.0"
    assert parse_http_date(answer["Upload-Expires"]) > timezone.now().timestamp() + 6 * 86_400
    assert patch(alice_client, address, 0, b"hello ")["Upload-Offset"] == "6"
    asked = head(alice_client, address)
    assert (asked["Upload-Offset"], asked["Upload-Length"], asked["Cache-Control"]) == ("6", "11", "no-store")
    assert "Upload-Expires" in asked
    with django_capture_on_commit_callbacks(execute=True):
        last = patch(alice_client, address, 6, b"world")
    assert (last.status_code, last["Upload-Offset"]) == (204, "11")
    video = row(address).video
    assert answer["X-Video"] == video.code
    assert (video.owner, video.source, video.title, video.state) == (alice, "uploaded", "Hamburg", "processing")
    assert storage.absolute(video.original_path).read_bytes() == b"hello world"
    assert queued == [("videos.tasks.convert", video.pk)]


@pytest.fixture
def queued(monkeypatch):
    """What was put on the queue: (task, id)."""
    found = []
    monkeypatch.setattr("pitch.lib.queue.async_task", lambda task, *ids, **options: found.append((task, *ids)))
    return found


def test_a_recording_is_followed_from_its_first_byte_and_closed_once(
    alice_client, recording, queued, django_capture_on_commit_callbacks
):
    asked = head(alice_client, recording)
    assert asked["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in asked
    with django_capture_on_commit_callbacks(execute=True):
        assert send_broken(alice_client, recording, 0, b"").status_code == 204
        assert queued == []
        assert patch(alice_client, recording, 0, b"first").status_code == 204
        assert patch(alice_client, recording, 5, b"second").status_code == 204
    upload = row(recording)
    assert queued == [("videos.tasks.follow", upload.pk)]
    assert upload.video.title == ""  # "recording" says nothing; pages show the day
    missing = finish(alice_client, recording, 20)
    assert (missing.status_code, missing["Upload-Offset"]) == (409, "11")
    for _time in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            done = finish(alice_client, recording, 11)
        assert (done.status_code, done.json()) == (200, {"video": upload.video.code, "state": "processing"})
    assert queued == [("videos.tasks.follow", upload.pk), ("videos.tasks.convert", upload.video_id)]
    assert patch(alice_client, recording, 11, b"more").status_code == 410


def test_length_with_the_last_piece_closes_a_recording(alice_client, recording):
    assert patch(alice_client, recording, 0, b"all", headers={"Upload-Length": "3"}).status_code == 204
    assert row(recording).video.state == "processing"


def test_nothing_recorded_is_no_video(alice_client, recording):
    answer = finish(alice_client, recording, 0)
    assert (answer.status_code, answer.content.decode()) == (400, "Nothing was recorded.")


def test_what_a_broken_piece_left_is_kept_and_never_doubled(alice_client, recording):
    patch(alice_client, recording, 0, b"first ")
    assert send_broken(alice_client, recording, 6, b"sec").status_code == 204
    assert head(alice_client, recording)["Upload-Offset"] == "9"
    with storage.absolute(row(recording).path).open("ab") as file:
        file.write(b"bytes that were never confirmed")  # a crash between file and row leaves these
    assert patch(alice_client, recording, 9, b"ond").status_code == 204
    assert storage.absolute(row(recording).path).read_bytes() == b"first second"


def test_409_tells_the_true_offset(alice_client, recording):
    patch(alice_client, recording, 0, b"first ")
    for offset in (0, 3, 7):
        answer = patch(alice_client, recording, offset, b"x")
        assert (answer.status_code, answer["Upload-Offset"]) == (409, "6")
    assert storage.absolute(row(recording).path).read_bytes() == b"first "


def test_423_while_another_request_writes_and_never_for_ever(alice_client, recording):
    held = Upload.objects.filter(pk=row(recording).pk)
    held.update(locked_until=timezone.now() + timedelta(seconds=60))
    assert patch(alice_client, recording, 0, b"x").status_code == 423
    assert row(recording).offset == 0
    held.update(locked_until=timezone.now() - timedelta(seconds=1))
    assert patch(alice_client, recording, 0, b"x").status_code == 204


def test_a_request_that_lost_its_hold_writes_nothing_over_the_one_that_took_it(alice_client, recording, monkeypatch):
    """A body that hangs longer than the hold must not write into what the browser's second try has sent meanwhile."""
    upload = row(recording)

    class Hanging(io.BytesIO):
        def read(self, size=-1):
            data = super().read(size)
            if data:  # while this hung, the hold ended and another request wrote
                monkeypatch.setattr(uploads.timezone, "now", lambda: real() + timedelta(seconds=61))
                assert patch(alice_client, recording, 0, b"second try").status_code == 204
            return data

    real = timezone.now
    with pytest.raises(uploads.UploadRefused) as refused:
        uploads.append(upload, uploads.Piece(0, 9, Hanging(b"first try")))
    assert refused.value.status == 423
    assert row(recording).offset == 10
    assert storage.absolute(upload.path).read_bytes() == b"second try"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": None}, 400),
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": "٣"}, 400),
        ({"Upload-Offset": "1" * 30}, 400),
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Tus-Resumable": None}, 412),
    ],
)
def test_pieces_that_are_not_tus(alice_client, recording, headers, status):
    given = {k: v for k, v in {**VERSION, "Upload-Offset": "0", **headers}.items() if v is not None}
    answer = alice_client.patch(recording, b"x", content_type=BODY, headers=given)
    assert answer.status_code == status
    assert answer["Tus-Resumable"] == "1.0.0"
    assert row(recording).offset == 0


def test_405_415_and_a_proxy_that_knows_no_patch(alice_client, recording):
    assert patch(alice_client, recording, 0, b"x", content_type="video/webm").status_code == 415
    refused = alice_client.put(recording, b"x", headers=VERSION)
    assert (refused.status_code, refused["Allow"]) == (405, "HEAD, PATCH, DELETE, OPTIONS")
    assert alice_client.get(f"{recording}/finish").status_code == 405
    through = {**VERSION, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert alice_client.post(recording, b"x", content_type=BODY, headers=through).status_code == 204


@pytest.mark.parametrize("length", ["", "-5", "many", "0"])
def test_creation_needs_a_true_length(alice_client, length):
    answer = alice_client.post("/uploads/", headers={**VERSION, "Upload-Length": length})
    assert answer.status_code == 400
    assert not Video.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"length": "5"}', '{"length": true}', '{"length": -1}', "nonsense"])
def test_finish_needs_a_true_length(alice_client, recording, body):
    answer = alice_client.post(f"{recording}/finish", body, content_type="application/json")
    assert answer.status_code == 400
    assert row(recording).finished_at is None


def test_too_large_is_said_before_and_while_it_comes(alice_client, settings):
    settings.VIDEO_MAX_BYTES = 1_000_000
    answer = create(alice_client, 1_000_001)
    assert answer.status_code == 413
    assert answer.content.decode() == "This video is larger than 1 MB, the limit here."
    unknown = {"wsgi.input": FakePayload(b"x" * 1_000_001), "CONTENT_LENGTH": ""}
    recording = create(alice_client)["Location"]
    answer = alice_client.generic(
        "PATCH", recording, b"x", content_type=BODY, headers={**VERSION, "Upload-Offset": "0"}, **unknown
    )
    assert row(recording).offset <= 1_000_000
    known = create(alice_client, 5)["Location"]
    assert patch(alice_client, known, 0, b"sixsix").status_code == 413
    assert row(known).video.state == "receiving"


def test_a_take_that_outgrows_the_limit_leaves_nothing(alice_client, recording, settings):
    settings.VIDEO_MAX_BYTES = 1_000_000
    assert patch(alice_client, recording, 0, b"x" * 600_000).status_code == 204
    answer = patch(alice_client, recording, 600_000, b"x" * 600_000)
    assert answer.status_code == 413
    assert answer.content.decode() == "This video is larger than 1 MB, the limit here."
    assert files_left() == []
    assert head(alice_client, recording).status_code == 404
    assert row(recording).video.deleted_at is not None
    assert row(recording).finished_at is not None, "it counts no longer as an unfinished upload"


def test_delete_leaves_nothing(alice_client, recording):
    patch(alice_client, recording, 0, b"bytes")
    assert drop(alice_client, recording).status_code == 204
    assert files_left() == []
    assert head(alice_client, recording).status_code == 404
    assert patch(alice_client, recording, 5, b"x").status_code == 404
    assert drop(alice_client, recording).status_code == 404


def test_a_finished_upload_can_be_dropped_too(alice_client, recording):
    patch(alice_client, recording, 0, b"all")
    finish(alice_client, recording, 3)
    assert drop(alice_client, recording).status_code == 204
    assert files_left() == []
    assert row(recording).video.deleted_at is not None


def test_only_its_owner_reaches_an_upload(alice_client, client_of, client, recording, bob, ada, charlie, root):
    for other in (bob, ada, charlie, root):
        theirs = client_of(other)
        for answer in (
            head(theirs, recording),
            patch(theirs, recording, 0, b"x"),
            drop(theirs, recording),
            finish(theirs, recording, 0),
        ):
            assert answer.status_code == 404, other
    nobody = Client()
    for answer in (
        create(nobody, 5),
        head(nobody, recording),
        patch(nobody, recording, 0, b"x"),
        drop(nobody, recording),
    ):
        assert answer.status_code == 401
    assert finish(nobody, recording, 0).status_code == 401
    assert create(client_of(root), 5).status_code == 403
    assert row(recording).offset == 0


def test_another_site_cannot_upload_in_our_name(alice, alice_client, recording, settings):
    """Every way in wants the CSRF token; the recorder sends it as a header."""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend=settings.AUTHENTICATION_BACKENDS[0])
    for answer in (
        create(strict, 5),
        patch(strict, recording, 0, b"x"),
        drop(strict, recording),
        finish(strict, recording, 0),
    ):
        assert answer.status_code == 403
    assert strict.get("/record/").status_code == 200
    token = {"X-CSRFToken": strict.cookies[settings.CSRF_COOKIE_NAME].value}
    assert create(strict, 5, headers=token).status_code == 201
    assert patch(strict, recording, 0, b"x", headers=token).status_code == 204


def test_unfinished_uploads_are_limited_and_deleting_one_makes_room(alice_client):
    made = [create(alice_client, 5) for _ in range(uploads.MAX_OPEN_PER_USER)]
    assert {answer.status_code for answer in made} == {201}
    refused = create(alice_client, 5)
    assert refused.status_code == 429
    assert "10 unfinished uploads" in refused.content.decode()
    alice_client.post(f"/videos/{made[0]['X-Video']}/delete")
    assert create(alice_client, 5).status_code == 201


def test_purge_drops_what_nobody_continued(alice_client, alice, settings):
    old = create(alice_client, source="recorded")["Location"]
    new = create(alice_client, source="recorded")["Location"]
    for address in (old, new):
        patch(alice_client, address, 0, b"bytes")
    Upload.objects.filter(pk=row(old).pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    stray = storage.root() / "uploads" / "of-no-row"
    stray.write_bytes(b"x")
    os.utime(stray, (1, 1))
    kept = make_ready(alice, state="failed", original_path="uploads/kept-for-a-retry")
    storage.absolute(kept.original_path).write_bytes(b"x")
    Video.objects.filter(pk=kept.pk).update(updated_at=timezone.now() - timedelta(days=settings.UPLOAD_KEEP_DAYS + 1))
    assert uploads.purge() == 1
    assert [path.name for path in files_left()] == [row(new).code]
    assert head(alice_client, old).status_code == 404
    assert head(alice_client, new).status_code == 200
    assert uploads.purge() == 0


@pytest.mark.abuse("A23")
def test_names_never_become_paths_and_lose_their_tricks(alice_client):
    names = {
        "../../etc/passwd": "passwd",
        "..\\..\\boot.ini": "boot",
        "a\x00b\x1b.mp4": "ab",
        "gpj.\u202emp4": "gpj",
        "ä" * 300 + ".mp4": "ä" * 200,
        "....": "...",
        "/": "",
        "<img src=x>.mp4": "<img src=x>",
        "Quarterly review 2.0 final.mov": "Quarterly review 2.0 final",
    }
    for index, (name, title) in enumerate(names.items()):
        address = create(alice_client, 5, filename=name)["Location"]
        patch(alice_client, address, 0, b"bytes")
        video = row(address).video
        assert video.title == title
        assert video.original_path == f"uploads/{row(address).code}"
        assert len(files_left()) == index + 1
        assert all(path.is_relative_to(storage.root() / "uploads") for path in files_left())
    page = alice_client.get("/videos/").content.decode()
    assert "<img src=x>" not in page


def test_metadata_that_is_not_base64_is_left_out(alice_client):
    answer = create(alice_client, 5, headers={"Upload-Metadata": "filename !!!,title /w==,source,filetype dmlkZW8="})
    assert answer.status_code == 201
    upload = row(answer["Location"])
    assert (upload.video.title, upload.file_name, upload.mime_type, upload.video.source) == (
        "",
        "",
        "video",
        "uploaded",
    )
