"""One running Pitch for the end-to-end tests of a worker process."""

import pytest

from tests.e2e.running import RunningPitch


@pytest.fixture(scope="session")
def pitch(tmp_path_factory):
    """Start everything once, stop it at the end."""
    running = RunningPitch(tmp_path_factory.mktemp("pitch"), SMTP_ALLOW_PLAINTEXT="true").start()
    yield running
    running.stop()
