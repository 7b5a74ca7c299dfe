"""Drafts: a row that is saved while typing, with whatever was typed, right or wrong."""

import re
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from accounts.models import User
from messaging.limits import MAX_SUBJECT
from messaging.models import Message
from messaging.services.recipients import MAX_NAME, ParsedAddress
from pitch.lib.emails import CONTROL
from templates_app import sanitize
from videos.models import Video

MAX_KEPT = 200  # rows a draft keeps of each field: far beyond what may be sent, so nothing typed is lost

SAVE_ID = re.compile(r"(?P<page>[0-9a-f]{32})\.(?P<number>[0-9]{1,9})")


class StaleDraft(Exception):
    """The draft was changed in another tab since this one read it; nothing was saved."""


class TooLong(Exception):
    """The text is longer than a message may be; nothing was saved, so nothing was cut off either."""

    def __init__(self) -> None:
        words = _(
            "Not saved: this message is too long. It stays here; shorten it to %(count)s characters with its formatting."
        )
        super().__init__(words % {"count": number_format(sanitize.MAX_LENGTH, force_grouping=True)})


class NotADraft(Exception):
    """The message is on its way or gone; it cannot be edited any more."""


@dataclass(frozen=True)
class DraftFields:
    """What the compose page holds. `to` and `bcc` are rows as typed; `version` is the draft_version the page read.

    `save_id` names this save: 32 hex digits of the page, a dot, and a number that grows with every try; empty without scripts.
    """

    version: int
    save_id: str = ""
    to: list[ParsedAddress] = field(default_factory=list)
    bcc: list[ParsedAddress] = field(default_factory=list)
    subject: str = ""
    text_html: str = ""
    with_signature: bool = True
    reply_to: str = ""
    video: str = ""


def create(user: User, video: Video | None = None) -> Message:
    """Make an empty draft of `user`, about `video` if one is given (it must be the user's own)."""
    assert user.organization is not None
    return Message.objects.create(
        organization=user.organization,
        sender=user,
        video=video,
        draft={"to": [], "bcc": []},
        draft_saved_at=timezone.now(),
    )


def one_line(text: str, limit: int) -> str:
    """Return text as it may stand in a header: no control characters, trimmed, at most `limit` characters (A5)."""
    return CONTROL.sub(" ", text).strip()[:limit]


def save(message: Message, fields: DraftFields) -> Message:
    """Save what was typed, sanitised, and count the version up.

    A page that never heard of its own last save goes on from that save, whatever was typed since (`follows`).
    Raises StaleDraft if another tab saved since, NotADraft if the message was sent, TooLong.
    """
    assert message.sender is not None
    html = sanitize.as_html(fields.text_html)
    if len(html) > sanitize.MAX_LENGTH:
        raise TooLong
    video = None
    if fields.video:
        video = (
            Video.objects.for_organization(message.organization)
            .filter(owner=message.sender, code=one_line(fields.video, 16), deleted_at__isnull=True)
            .first()
        )
    rows = {"to": [as_row(r) for r in fields.to[:MAX_KEPT]], "bcc": [as_row(r) for r in fields.bcc[:MAX_KEPT]]}
    values: dict[str, Any] = {
        "draft": rows,
        "subject": one_line(fields.subject, MAX_SUBJECT),
        "text_html": sanitize.clean_html(html),
        "with_signature": fields.with_signature,
        "reply_to": one_line(fields.reply_to, 254),
        "video": video,
        "draft_save_id": fields.save_id if SAVE_ID.fullmatch(fields.save_id) else "",
    }
    people = "\n".join(f"{row['name']} {row['address']}" for kind in rows.values() for row in kind)
    now = timezone.now()
    message.refresh_from_db()
    base = message.draft_version if follows(message.draft_save_id, fields.save_id) else fields.version
    changed = Message.objects.filter(pk=message.pk, status=Message.Status.DRAFT, draft_version=base).update(
        **values, draft_people=people, draft_version=base + 1, draft_saved_at=now, updated_at=now
    )
    message.refresh_from_db()
    if not changed:
        if message.status != Message.Status.DRAFT:
            raise NotADraft(_("This message was sent already; it cannot be changed any more."))
        raise StaleDraft(
            _("This draft was changed in another tab. Reload the page to see it; copy what you typed first.")
        )
    return message


def follows(held: str, new: str) -> bool:
    """Say whether save `new` comes from the page that made the save the draft holds, and later than it.

    A save that was under way for long and arrives after a newer one does not follow: it must not undo what was typed since.
    """
    one, other = SAVE_ID.fullmatch(held), SAVE_ID.fullmatch(new)
    return bool(one and other and one["page"] == other["page"] and int(one["number"]) < int(other["number"]))


def set_video(message: Message, video: Video | None) -> Message:
    """Put another take into a draft; what was written stays."""
    if video is not None:
        message.video = video
        message.draft_version += 1
        message.draft_save_id = ""  # for every open page this is a change from elsewhere
        message.save(update_fields=["video", "draft_version", "draft_save_id", "updated_at"])
    return message


def as_row(parsed: ParsedAddress) -> dict[str, str]:
    """Return how a typed recipient is kept in the draft."""
    return {"name": one_line(parsed.name, MAX_NAME), "address": one_line(parsed.address, 254)}


def rows_of(message: Message, kind: str) -> list[dict[str, str]]:
    """Return the kept rows of "to" or "bcc"."""
    rows: Any = message.draft.get(kind, []) if isinstance(message.draft, dict) else []
    return [row for row in rows if isinstance(row, dict)]


def delete(message: Message) -> None:
    """Delete a draft; raises NotADraft for anything that was sent."""
    deleted, _counts = Message.objects.filter(pk=message.pk, status=Message.Status.DRAFT).delete()
    if not deleted:
        raise NotADraft(_("This message was sent already; it cannot be deleted."))


def duplicate(message: Message) -> Message:
    """Make a new draft with the text, video and recipients of another message."""
    assert message.sender is not None
    rows = message.draft
    with transaction.atomic():
        return Message.objects.create(
            organization=message.organization,
            sender=message.sender,
            video=message.video if message.video and message.video.deleted_at is None else None,
            subject=message.subject,
            text_html=message.text_html,
            with_signature=message.with_signature,
            reply_to=message.reply_to,
            draft=rows,
            draft_people=message.draft_people,
            draft_saved_at=timezone.now(),
        )
