"""What the tests of landing and opt-out pages start from: a message of alice with a video, on its way to Anna."""

import json
import re

from django.utils import timezone

from messaging import links
from messaging.models import Delivery, Message
from videos.models import Video


def make_video(owner, **fields):
    given = {
        "title": "Two answers",
        "state": Video.State.READY,
        "duration_ms": 42_000,
        "width": 1280,
        "height": 720,
        "video_path": "videos/a/video.mp4",
        "poster_path": "videos/a/poster.jpg",
        "thumbnail_path": "videos/a/thumbnail.jpg",
        "ready_at": timezone.now(),
    } | fields
    return Video.objects.create(organization=owner.organization, owner=owner, **given)


def make_message(sender, video=None, **fields):
    given = {
        "subject": "Hamburg: two answers",
        "text_html": "<p>Thank you for the tour.</p>",
        "status": Message.Status.COMPLETED,
        "send_after": timezone.now(),
        "sent_at": timezone.now(),
    } | fields
    return Message.objects.create(organization=sender.organization, sender=sender, video=video, **given)


def make_delivery(message, name="Anna Torvald", address="anna@torvald.example", **fields):
    now = timezone.now()
    given = {
        "state": Delivery.State.ACCEPTED,
        "next_at": now,
        "date": now,
        "internet_message_id": f"<{address}.{message.code}@acme.test>",
    } | fields
    return Delivery.objects.create(
        organization=message.organization, message=message, name=name, address=address, address_key=address, **given
    )


def path_of(url):
    return "/" + url.split("/", 3)[3]


def landing_path(delivery):
    return path_of(links.landing_url(delivery))


def unsubscribe_path(delivery):
    return path_of(links.unsubscribe_url(delivery))


def seed_of(html):
    return re.search(r'data-visit="([^"]+)"', html).group(1)


BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"


def send_beacon(client, delivery, seed, sequence=1, agent=BROWSER, **fields):
    body = {"visit": seed, "sequence": sequence, "ranges": []} | fields
    return client.post(
        landing_path(delivery) + "/beacon",
        json.dumps(body),
        content_type="application/json",
        headers={"user-agent": agent},
    )


HUMAN = {"trusted": True, "user_activation": True, "visible": True}
