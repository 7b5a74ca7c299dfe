"""A real mail server, a provider that names it, and drafts of alice's to send through it."""

import pytest

from messaging.models import EmailProvider
from messaging.services import drafts
from messaging.services.drafts import DraftFields
from messaging.services.recipients import ParsedAddress
from tests.fakes.mail_server import MailServer, serve
from videos.models import Video


@pytest.fixture
def server(settings):
    settings.SMTP_ALLOW_PLAINTEXT = True
    handler = MailServer()
    controller = serve(handler)
    yield handler
    controller.stop()


@pytest.fixture
def provider(acme, server):
    return EmailProvider.objects.create(
        organization=acme, host="127.0.0.1", port=server.port, security="none", is_guarded=False
    )


@pytest.fixture
def video(acme, alice):
    return Video.objects.create(
        organization=acme, owner=alice, state="ready", duration_ms=42_000, width=320, height=180,
        video_path="x/video.mp4", poster_path="x/poster.jpg", thumbnail_path="x/thumbnail.jpg",
    )  # fmt: skip


@pytest.fixture
def compose(alice, video, provider):
    """Return a function that makes a draft of alice's."""

    def make(to=("anna@torvald.example",), bcc=(), **fields):
        def parsed_of(values):
            return [ParsedAddress("", one) if isinstance(one, str) else one for one in values]

        rows = {"to": parsed_of(to), "bcc": parsed_of(bcc)}
        values = {"subject": "Two answers", "text_html": "<p>Hello <b>there</b></p>", **fields}
        return drafts.save(drafts.create(alice, video), DraftFields(version=0, video=video.code, **rows, **values))

    return make
