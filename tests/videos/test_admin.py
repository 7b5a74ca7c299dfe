"""The desk for videos: another try for what could not be converted."""

import pytest

from accounts.models import AuditEntry
from tests.videos.tus import make_ready
from videos import storage

LIST = "/admin/videos/video/"


@pytest.fixture
def woken(monkeypatch):
    """The tasks that were woken."""
    found = []
    monkeypatch.setattr("pitch.lib.queue.async_task", lambda task, *ids, **options: found.append((task, *ids)))
    return found


def make_failed(owner, path, **fields):
    """Make a video that could not be converted; its original lies at `path`, if there is a path."""
    if path:
        file = storage.absolute(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"original")
    return make_ready(owner, state="failed", error="No.", original_path=path, **fields)


def test_what_failed_is_tried_again_if_its_original_is_there(
    signed_in, ada, alice, charlie, woken, django_capture_on_commit_callbacks
):
    failed, lost, ready = make_failed(alice, "originals/a"), make_failed(alice, ""), make_ready(alice)
    other = make_failed(charlie, "originals/c")
    chosen = {"action": "convert_again", "_selected_action": [row.pk for row in (failed, lost, ready, other)]}
    client = signed_in(ada)
    with django_capture_on_commit_callbacks(execute=True):
        page = client.post(LIST, chosen, follow=True).content.decode()
    assert "1 video is converted again." in page
    assert woken == [("videos.tasks.convert", failed.pk)]
    for row, state in ((failed, "processing"), (lost, "failed"), (ready, "ready"), (other, "failed")):
        row.refresh_from_db()
        assert row.state == state
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.actor) == ("video converted again", failed.code, ada)
    assert entry.organization == alice.organization
