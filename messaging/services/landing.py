"""What a recipient's own page shows."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.services import audit, hosts
from messaging import links
from messaging.models import Delivery, Message
from messaging.services import visits
from pitch.lib import signing
from videos.models import Video
from videos.services import media

# One query with these columns feeds the page. Left out is what is long, secret (each costs a decryption) or not shown.
COLUMNS = (
    "code",
    "name",
    "link_revoked_at",
    "link_expires_at",
    "organization__code",
    "organization__slug",
    "organization__name",
    "organization__logo",
    "organization__is_active",
    "message__subject",
    "message__text_html",
    "message__reply_to",
    "message__is_test",
    "message__sent_at",
    "message__sender__code",
    "message__sender__name",
    "message__sender__title",
    "message__sender__email",
    "message__sender__phone",
    "message__sender__photo",
    "message__sender__is_active",
    "message__video__code",
    "message__video__state",
    "message__video__progress",
    "message__video__duration_ms",
    "message__video__width",
    "message__video__height",
    "message__video__deleted_at",
    "message__video__video_path",
    "message__video__poster_path",
    "message__video__thumbnail_path",
)
# Made once: putting the joins and columns together anew takes longer than asking the database.
PAGES = Delivery.objects.select_related("organization", "message__sender", "message__video").only(*COLUMNS).order_by()

TITLE = re.compile(r"^(?:(?:dr|prof|mr|mrs|ms|herr|frau|ing)\.?\s+)+", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """A person to show the page to while the message is still being written."""

    name: str = ""
    code: str = "preview"


def find(token: str) -> Delivery | None:
    """Return the delivery a landing token was signed for, with all its page needs (one query); None for any other text."""
    code = signing.unsign(links.LANDING, token)
    if code is None:
        return None
    delivery = next(iter(PAGES.filter(code=code)), None)
    return delivery if delivery is not None and delivery.organization.is_active else None


def obstacle(delivery: Delivery) -> str:
    """Return why there is nothing to watch: "revoked", "expired", "deleted", "failed", "processing"; "" when there is."""
    if delivery.link_revoked_at is not None:
        return "revoked"
    if delivery.link_expires_at is not None and delivery.link_expires_at <= timezone.now():
        return "expired"
    video = delivery.message.video
    if video is None or video.deleted_at is not None:
        return "deleted"
    if video.state == Video.State.FAILED:
        return "failed"
    return "" if video.is_playable else "processing"


def first_name(name: str) -> str:
    """Return the part of a name one greets with: "Anna Torvald" and "Torvald, Anna" give "Anna"; "" if there is none."""
    if "," in name:
        name = name.split(",", 1)[1]
    words = TITLE.sub("", name.strip()).split()
    return words[0] if words and "@" not in words[0] else ""


def spoken_length(milliseconds: int | None) -> str:
    """Return a length in words: "42 seconds", "2 minutes 5 seconds"; "" when it is not known."""
    if not milliseconds:
        return ""
    minutes, seconds = divmod(max(1, round(milliseconds / 1000)), 60)
    words = []
    if minutes:
        words.append(ngettext("%d minute", "%d minutes", minutes) % minutes)
    if seconds:
        words.append(ngettext("%d second", "%d seconds", seconds) % seconds)
    return " ".join(words)


def sender_context(sender: User, organization_name: str) -> dict[str, Any]:
    """Return what the sender's card says."""
    return {
        "name": sender.name or sender.email,
        "first": first_name(sender.name) or sender.name or sender.email,
        "title": sender.title,
        "organization": organization_name,
        "email": sender.email,
        "phone": sender.phone,
        "photo": reverse("accounts:user-photo", args=[sender.code]) if sender.photo and sender.is_active else "",
    }


def reply_link(message: Message) -> str:
    """Return a mailto link that answers the message."""
    assert message.sender is not None
    address = message.reply_to or message.sender.email
    return f"mailto:{quote(address, safe='@+')}?subject={quote('Re: ' + message.subject if message.subject else 'Re:')}"


def base_context(delivery: Delivery) -> dict[str, Any]:
    """Return what every page of a personal link says: organization, sender, the way to answer and to opt out."""
    message = delivery.message
    assert message.sender is not None
    return {
        "organization": delivery.organization,
        "sender": sender_context(message.sender, delivery.organization.name),
        "reply_link": reply_link(message),
        "unsubscribe_url": reverse("messaging:unsubscribe", args=[signing.sign(links.UNSUBSCRIBE, delivery.code)]),
    }


def landing_context(message: Message, recipient: Delivery | Sample, *, preview: bool = False) -> dict[str, Any]:
    """Return the context of messaging/landing.html.

    `recipient` is the delivery whose page it is, or a Sample while composing. With `preview` the page reports nothing and its
    opt-out leads nowhere. Reads no more rows than it is given.
    """
    assert message.sender is not None
    sender, video = message.sender, message.video
    organization = recipient.organization if isinstance(recipient, Delivery) else message.organization
    shown = video if video is not None and video.is_playable else None
    context: dict[str, Any] = {
        "organization": organization,
        "sender": sender_context(sender, organization.name),
        "title": _("%(name)s sent you a video") % {"name": sender.name or sender.email},
        "first_name": first_name(recipient.name),
        "length": spoken_length(video.duration_ms) if video else "",
        "sent_at": message.sent_at or timezone.now(),
        "text": _trusted(message.text_html),
        "reply_link": reply_link(message),
        "video": shown,
        "video_url": media.video_url(shown) if shown else "",
        "poster_url": media.poster_url(shown) if shown else "",
        "preview": preview,
        "preview_image": "",
        "unsubscribe_url": "",
        "seed": "",
    }
    if preview or not isinstance(recipient, Delivery):
        return context
    if shown:
        context["preview_image"] = hosts.base_url(organization) + media.thumbnail_url(shown)
    context["unsubscribe_url"] = reverse(
        "messaging:unsubscribe", args=[signing.sign(links.UNSUBSCRIBE, recipient.code)]
    )
    if not message.is_test:
        context["seed"] = visits.new_seed(recipient)
    return context


def _trusted(html: str) -> SafeString:
    # Cleaned by templates_app.sanitize on its way into the row; the content policy stands behind it.
    return mark_safe(html)


def withdraw(deliveries: QuerySet[Delivery], *, actor: User) -> int:
    """Close the personal links of these deliveries for good; their pages say so, and so does the administrators' log.

    Returns how many were open.
    """
    count, now = 0, timezone.now()
    for delivery in deliveries.filter(link_revoked_at__isnull=True).select_related("organization"):
        with transaction.atomic():
            open_link = Delivery.objects.filter(pk=delivery.pk, link_revoked_at__isnull=True)
            if open_link.update(link_revoked_at=now, updated_at=now):
                audit.record(delivery.organization, actor, "personal link withdrawn", delivery.code)
                count += 1
    return count
