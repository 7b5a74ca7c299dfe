"""From what arrived to what plays everywhere, hostile files, and conversions that were lost."""

import os
import struct
import subprocess
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone
from PIL import Image

from tests.videos.tus import create, drop, files_left, finish, patch, row, upload_file
from videos import ffmpeg, storage, tasks
from videos.models import Video
from videos.services import following, library, transcoding

pytestmark = pytest.mark.django_db


@pytest.fixture
def convert(alice_client, make_take):
    """Return a function: (kind or path) -> the video after upload and conversion."""

    def run(take, seconds=2):
        path = make_take(take, seconds) if isinstance(take, str) else take
        video = upload_file(alice_client, path)
        tasks.convert(video.pk)
        video.refresh_from_db()
        return video

    return run


def boxes(path):
    """Return the top-level boxes of an MP4, in order."""
    found, data = [], path.read_bytes()
    position = 0
    while position < len(data):
        size, kind = struct.unpack(">I4s", data[position : position + 8])
        found.append(kind.decode())
        position += size or len(data)
    return found


def mp4_of(video):
    return storage.absolute(video.video_path)


@pytest.mark.parametrize("kind", ["webm", "matroska", "mp4", "silent"])
def test_each_kind_becomes_one_that_plays_everywhere(convert, kind):
    video = convert(kind)
    assert (video.state, video.error, video.progress) == ("ready", "", 100)
    assert 1900 <= video.duration_ms <= 2200
    assert (video.width, video.height) == (320, 180)
    facts = ffmpeg.look_at(mp4_of(video))
    assert (facts.video_codec, facts.pixel_format, facts.has_audio) == ("h264", "yuv420p", kind != "silent")
    order = boxes(mp4_of(video))
    assert order.index("moov") < order.index("mdat")  # plays before all of it is here
    assert video.size_bytes == mp4_of(video).stat().st_size
    # The original and everything half-finished are gone.
    assert len(files_left()) == 3
    assert video.original_path == ""


def test_h264_is_copied_and_vp8_encoded(convert, monkeypatch):
    given = []
    real = ffmpeg.run
    monkeypatch.setattr(ffmpeg, "run", lambda words, **kw: given.append(" ".join(words)) or real(words, **kw))
    assert convert("matroska").state == "ready"
    assert any("-c:v copy" in words for words in given)
    assert not any("libx264" in words for words in given)
    given.clear()
    assert convert("webm").state == "ready"
    assert any("libx264" in words for words in given)


def test_poster_and_the_mails_picture(convert):
    video = convert("rough")
    poster, thumbnail = storage.absolute(video.poster_path), storage.absolute(video.thumbnail_path)
    assert poster.stat().st_size <= 80_000
    assert thumbnail.stat().st_size <= 120_000
    with Image.open(poster) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1280, 720))
    with Image.open(thumbnail) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (1200, 675), "RGB")
        # The play mark: white on dark in the lower start corner.
        mark = picture.crop((36, 535, 200, 639))
        assert min(low for low, _high in mark.getextrema()) < 70
        assert max(high for _low, high in mark.getextrema()) > 230


def test_upright_stays_upright_and_the_mails_picture_has_one_size(convert):
    video = convert("portrait")
    assert (video.width, video.height) == (180, 320)
    with Image.open(storage.absolute(video.thumbnail_path)) as picture:
        assert picture.size == (1200, 675)


def test_a_phones_turned_picture_is_turned(convert, make_take, tmp_path):
    turned = tmp_path / "turned.mp4"
    command = ["-v", "error", "-display_rotation", "90", "-i", str(make_take("mp4")), "-c", "copy", str(turned)]
    subprocess.run([ffmpeg.executable(), *command], check=True, timeout=30)
    video = convert(turned)
    assert (video.state, video.width, video.height) == ("ready", 180, 320)


def test_where_and_what_of_the_original_is_left_out(convert):
    data = mp4_of(convert("mp4")).read_bytes()
    assert b"Home of Anna" not in data
    assert b"+48+11" not in data


def test_converting_twice_does_nothing_twice(convert, alice_client):
    video = convert("webm")
    before = (video.updated_at, mp4_of(video).stat().st_mtime_ns, video.attempts)
    tasks.convert(video.pk)
    video.refresh_from_db()
    assert (video.updated_at, mp4_of(video).stat().st_mtime_ns, video.attempts) == before
    tasks.convert(0)
    tasks.follow(0)


def test_a_video_deleted_while_it_is_converted_leaves_nothing(convert, monkeypatch):
    """The sender may change their mind at any moment: also between the encoder and the row."""
    real = transcoding.encode

    def encode_and_lose(video, *args):
        real(video, *args)
        library.delete(video)

    monkeypatch.setattr(transcoding, "encode", encode_and_lose)
    video = convert("matroska")
    assert video.deleted_at is not None
    assert files_left() == []


# ---- Hostile files (A21) -------------------------------------------------------------------------------------------------------
def hostile(tmp_path, make_take, kind):
    """Return a file made to hurt and the words its sender reads."""
    path = tmp_path / f"{kind}.mp4"
    whole = make_take("mp4").read_bytes()
    secret = make_take("mp4")  # what a playlist would make us open
    not_video = "not a video"
    if kind == "text":
        path.write_text("this is no film\n" * 100)
    elif kind == "playlist":
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\nfile:{secret}\n#EXT-X-ENDLIST\n")
    elif kind == "concat":
        path.write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    elif kind == "dash":
        path.write_text('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>')
    elif kind == "picture":
        Image.new("RGB", (320, 180)).save(path, "PNG")
    elif kind == "headless":
        path.write_bytes(whole[: len(whole) // 3])  # mdat first: the index is at the lost end
    elif kind == "byte":
        path.write_bytes(b"\0")
    elif kind == "sound":
        run(["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(path)])
    elif kind == "streams":
        run(["-f", "lavfi", "-i", "sine=duration=1", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5:duration=1"]
            + ["-map", "1:v"] + ["-map", "0:a"] * 49 + ["-c:v", "libx264", "-c:a", "aac", "-f", "matroska", str(path)])  # fmt: skip
        return path, "50 streams"
    elif kind == "huge":
        run(
            [
                "-f",
                "lavfi",
                "-i",
                "color=size=8192x4352:rate=1:duration=1",
                "-c:v",
                "mjpeg",
                "-f",
                "matroska",
                str(path),
            ]
        )
        return path, "8192 × 4352 pixels"
    return path, not_video


def run(words):
    subprocess.run([ffmpeg.executable(), "-v", "error", "-y", *words], check=True, timeout=60)


@pytest.mark.parametrize(
    "kind",
    ["text", "playlist", "concat", "dash", "picture", "headless", "byte", "sound", "streams", "huge"],
)
def test_a_hostile_file_gets_a_sentence_and_leaves_nothing(convert, alice_client, tmp_path, make_take, kind):
    path, words = hostile(tmp_path, make_take, kind)
    video = convert(path)
    assert video.state == "failed"
    assert words in video.error
    assert video.error.endswith(".")
    assert files_left() == []
    assert video.error in alice_client.get(f"/videos/{video.code}/").content.decode()


@pytest.mark.abuse("A21")
def test_a_playlist_never_makes_us_open_another_file(convert, tmp_path, make_take, monkeypatch):
    """The same file that fails as a playlist's target is fine by itself, so it was the playlist that was refused."""
    for kind in ("playlist", "concat"):
        path, _words = hostile(tmp_path, make_take, kind)
        assert convert(path).state == "failed"
    assert convert("mp4").state == "ready"
    assert files_left()


@pytest.mark.abuse("A21")
def test_too_many_streams_and_too_many_pixels(convert, tmp_path, make_take):
    for kind in ("streams", "huge"):
        path, words = hostile(tmp_path, make_take, kind)
        video = convert(path)
        assert (video.state, words in video.error) == ("failed", True)
    assert files_left() == []


@pytest.mark.abuse("A21")
def test_too_long_is_refused_whether_the_file_says_so_or_not(convert, acme, alice_client, make_take):
    acme.video_max_seconds = 5
    acme.save()
    video = convert("mp4", seconds=8)
    assert video.state == "failed"
    assert video.error == "This video is 0:08 long; at most 0:05 is allowed here."
    # A browser's recording does not know its length: made by a pipe, as MediaRecorder does.
    path = make_take("webm", 8)
    piped = path.with_name("piped.webm")
    with path.open("rb") as source, piped.open("wb") as target:
        command = [
            ffmpeg.executable(),
            "-v",
            "error",
            "-i",
            "pipe:0",
            "-c",
            "copy",
            "-f",
            "webm",
            "-live",
            "1",
            "pipe:1",
        ]
        subprocess.run(command, stdin=source, stdout=target, check=True, timeout=30)
    assert ffmpeg.look_at(piped).duration_ms is None
    assert convert(piped).state == "failed"
    assert files_left() == []


def test_the_encoder_cannot_run_for_ever_or_eat_the_machine(settings, tmp_path):
    """Time, memory and core files are limited in the child itself."""
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nulimit -t -v -c 1>&2\nulimit -t 1>&2; ulimit -v 1>&2; ulimit -c 1>&2\n")
    script.chmod(0o755)
    settings.FFMPEG = str(script)
    assert ffmpeg.run([], seconds=7).split()[-3:] == ["14", str(ffmpeg.MEMORY_BYTES // 1024), "0"]
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    began = time.monotonic()
    with pytest.raises(ffmpeg.FfmpegFailed, match="longer than"):
        ffmpeg.run([], seconds=1)
    assert time.monotonic() - began < 5


# ---- Faults of ours ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def woken(monkeypatch):
    found = []
    monkeypatch.setattr(transcoding, "wake", lambda task, *ids, **options: found.append((task, *ids)))
    return found


def grow_old(video):
    Video.objects.filter(pk=video.pk).update(updated_at=timezone.now() - timedelta(minutes=1))


def test_recover_takes_up_what_nobody_works_on(alice_client, make_take, woken):
    video = upload_file(alice_client, make_take("matroska"))
    assert transcoding.recover() == 0  # too fresh: its wake-up is on the way
    grow_old(video)
    with transcoding.hold(video):
        assert transcoding.recover() == 0  # somebody converts it
    assert transcoding.recover() == 1
    assert woken == [("videos.tasks.convert", video.pk)]
    assert transcoding.recover() == 0
    tasks.convert(video.pk)
    video.refresh_from_db()
    assert video.state == "ready"


def test_a_long_last_attempt_is_not_failed_under_its_feet(alice_client, make_take, woken):
    video = upload_file(alice_client, make_take("matroska"))
    Video.objects.filter(pk=video.pk).update(attempts=transcoding.MAX_STARTS)
    grow_old(video)
    with transcoding.hold(video):
        transcoding.recover()
    video.refresh_from_db()
    assert video.state == "processing"
    transcoding.recover()
    video.refresh_from_db()
    assert video.state == "failed"
    assert storage.absolute(video.original_path).exists()


def test_what_was_recorded_survives_our_faults_and_can_be_tried_again(
    alice_client, make_take, settings, tmp_path, woken
):
    video = upload_file(alice_client, make_take("webm"))
    broken = tmp_path / "ffmpeg"
    full = 'case "$*" in *libx264*) echo "No space left on device" >&2; exit 1;; esac'
    broken.write_text(f'#!/bin/sh\n{full}\nexec {ffmpeg.executable()} "$@"\n')
    broken.chmod(0o755)
    settings.FFMPEG = str(broken)
    for attempt in range(transcoding.MAX_ATTEMPTS):
        video.refresh_from_db()
        assert (video.state, video.attempts) == ("processing", attempt)
        tasks.convert(video.pk)
    video.refresh_from_db()
    assert video.state == "failed"
    assert [path.name for path in files_left()] == [os.path.basename(video.original_path)]
    settings.FFMPEG = ""
    assert transcoding.retry(video)
    assert woken == [("videos.tasks.convert", video.pk)]
    tasks.convert(video.pk)
    video.refresh_from_db()
    assert (video.state, video.error) == ("ready", "")
    assert not transcoding.retry(video)


# ---- Following a recording -----------------------------------------------------------------------------------------------------
@pytest.fixture
def recording(alice_client, make_take):
    """A recording of which nothing has arrived, and its bytes."""
    return create(alice_client, source="recorded")["Location"], make_take("webm", 4).read_bytes()


def pieces_of(data, count=8):
    size = -(-len(data) // count)
    return [(start, data[start : start + size]) for start in range(0, len(data), size)]


def no_conversion(monkeypatch):
    monkeypatch.setattr(transcoding, "encode", lambda *args: pytest.fail("the whole recording was converted again"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.req("R390")
def test_a_recording_is_ready_by_what_followed_it(alice_client, recording, monkeypatch):
    """The encoder runs beside the upload; at the end nothing is converted a second time."""
    address, data = recording
    no_conversion(monkeypatch)
    pieces = pieces_of(data)
    assert patch(alice_client, address, 0, pieces[0][1]).status_code == 204
    upload = row(address)
    arrived = threading.Event()
    results = []

    def work():
        try:
            results.append(following.follow(upload.pk))
        finally:
            connection.close()

    def idle(seconds):
        arrived.set()  # the follower has eaten all there is
        time.sleep(0.01)

    monkeypatch.setattr(following, "time", SimpleNamespace(sleep=idle))
    worker = threading.Thread(target=work)
    worker.start()
    for start, piece in pieces[1:]:
        assert arrived.wait(20)
        assert patch(alice_client, address, start, piece).status_code == 204
    assert Video.objects.get(pk=upload.video_id).state == "receiving"
    assert finish(alice_client, address, len(data)).status_code == 200
    worker.join(30)
    video = row(address).video
    assert results == [True]
    assert (video.state, video.width, video.height) == ("ready", 320, 180)
    assert 3800 <= video.duration_ms <= 4200
    order = boxes(mp4_of(video))
    assert order.index("moov") < order.index("mdat")
    tasks.convert(video.pk)
    assert len(files_left()) == 3


def test_too_little_to_know_waits_for_the_next_piece(
    alice_client, recording, django_capture_on_commit_callbacks, monkeypatch
):
    address, data = recording
    woken = []
    monkeypatch.setattr("pitch.lib.queue.async_task", lambda task, *ids, **options: woken.append(task))
    for start, end in ((0, 20), (20, 40)):
        with django_capture_on_commit_callbacks(execute=True):
            patch(alice_client, address, start, data[start:end])
        tasks.follow(row(address).pk)
    assert woken == ["videos.tasks.follow"] * 2
    assert row(address).video.state == "receiving"


def test_h264_is_not_followed_because_copying_is_quick(alice_client, make_take):
    address = create(alice_client, source="recorded")["Location"]
    patch(alice_client, address, 0, make_take("matroska").read_bytes())
    assert following.follow(row(address).pk) is False
    assert len(files_left()) == 1


def test_when_the_follower_dies_the_whole_file_is_converted(alice_client, recording, monkeypatch):
    address, data = recording
    patch(alice_client, address, 0, data)

    def die(*args, **kwargs):
        finish(alice_client, address, len(data))
        raise BrokenPipeError("the encoder was killed")

    monkeypatch.setattr(following.Follower, "_feed", die)
    tasks.follow(row(address).pk)
    video = row(address).video
    assert (video.state, video.attempts) == ("ready", 1)
    assert len(files_left()) == 3


def test_a_dropped_take_stops_its_follower_and_leaves_nothing(alice_client, recording, monkeypatch):
    address, data = recording
    patch(alice_client, address, 0, data)
    monkeypatch.setattr(following, "time", SimpleNamespace(sleep=lambda seconds: drop(alice_client, address)))
    assert following.follow(row(address).pk) is False
    tasks.convert(row(address).video_id)
    assert row(address).video.state == "failed"
    assert files_left() == []


def test_a_take_paused_for_long_lets_the_encoder_go_and_is_followed_anew(
    alice_client, recording, monkeypatch, django_capture_on_commit_callbacks
):
    address, data = recording
    half = len(data) // 2
    woken = []
    monkeypatch.setattr("pitch.lib.queue.async_task", lambda task, *ids, **options: woken.append(task))
    monkeypatch.setattr(following, "IDLE_SECONDS", -1)
    for start, end in ((0, half), (half, len(data))):
        with django_capture_on_commit_callbacks(execute=True):
            patch(alice_client, address, start, data[start:end])
        assert following.follow(row(address).pk) is False
    assert woken == ["videos.tasks.follow"] * 2
    monkeypatch.undo()
    finish(alice_client, address, len(data))
    tasks.follow(row(address).pk)
    video = row(address).video
    assert video.state == "ready"
    assert 3800 <= video.duration_ms <= 4200
