"""Tiny takes made by ffmpeg's own test sources, once for each process of the suite."""

import subprocess

import pytest
from playwright.sync_api import expect

from tests.browser import sign_in
from tests.conftest import PASSWORD
from tests.videos.recorder import COUNT, button
from videos import ffmpeg

PICTURE = "testsrc2=size={size}:rate=15:duration={seconds}"
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration={seconds}"]
VP8 = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "15"]
KINDS = {
    # name: (ending, size, sound, codecs)
    "webm": ("webm", "320x180", True, [*VP8, "-c:a", "libopus"]),
    "matroska": ("mkv", "320x180", True, [*H264, "-c:a", "libopus"]),
    "mp4": ("mp4", "320x180", True, [*H264, "-c:a", "aac", "-metadata", "title=Home of Anna", "-metadata", "location=+48+11/"]),
    "silent": ("webm", "320x180", False, VP8),
    "portrait": ("webm", "180x320", True, [*VP8, "-c:a", "libopus"]),
    "large": ("mp4", "1920x1080", False, H264),
    "rough": ("mkv", "1280x720", False, ["-c:v", "mjpeg", "-q:v", "2", "-vf", "noise=alls=60:allf=t"]),
}  # fmt: skip


@pytest.fixture(scope="session")
def make_take(tmp_path_factory):
    """Return a function: (kind, seconds=2) -> path of a take; each is made once."""
    folder = tmp_path_factory.mktemp("takes")

    def make(kind, seconds=2):
        ending, size, has_sound, codecs = KINDS[kind]
        path = folder / f"{kind}-{seconds}.{ending}"
        if not path.exists():
            sound = [word.format(seconds=seconds) for word in SOUND] if has_sound else []
            source = PICTURE.format(size=size, seconds=seconds)
            command = ["-v", "error", "-nostdin", "-f", "lavfi", "-i", source, *sound, *codecs, str(path)]
            subprocess.run([ffmpeg.executable(), *command], check=True, timeout=60)
        return path

    return make


@pytest.fixture
def alice_client(signed_in, alice):
    """A client alice is signed in with."""
    return signed_in(alice)


@pytest.fixture
def client_of(alice_client, settings):
    """Return a function: user -> another client, signed in."""

    def sign_in(user):
        other = type(alice_client)()
        other.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
        return other

    return sign_in


@pytest.fixture
def no_worker(monkeypatch):
    """Nobody follows or converts; tests that want a video run the task by hand."""
    monkeypatch.setattr("pitch.lib.queue.async_task", lambda *args, **options: None)


@pytest.fixture
def studio(page, live_server, alice, no_worker):
    """The studio, with alice signed in."""
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/")
    return page


@pytest.fixture
def recorder(studio, live_server):
    """The recorder, with its camera on."""
    studio.add_init_script(COUNT)
    studio.goto(f"{live_server.url}/record/")
    expect(button(studio, "Start recording")).to_be_visible()
    return studio
