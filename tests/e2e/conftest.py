"""One running Pitch for the end-to-end tests of a worker process."""

import subprocess
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from tests.e2e.running import RunningPitch


def pytest_collection_modifyitems(items):
    """Whole installations take their time: `./run test -m "not slow"` leaves them out."""
    for item in items:
        if "tests/e2e/" in item.nodeid:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def pitch(tmp_path_factory):
    """Start everything once, stop it at the end."""
    running = RunningPitch(tmp_path_factory.mktemp("pitch"), SMTP_ALLOW_PLAINTEXT="true").start()
    yield running
    running.stop()


@pytest.fixture
def take(tmp_path) -> Path:
    """Make a two-second video with the ffmpeg that came with Pitch."""
    path = tmp_path / "take.mp4"
    command = [get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=15", "-t", "2"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True, timeout=30)
    return path
