"""Sending as the sender sees it: send, undo, cancel, try it on oneself, or fetch the links and mail by hand."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.services import audit
from messaging.models import Delivery, EmailProvider, Message
from messaging.services import drafts, providers, recipients
from messaging.services.recipients import ParsedAddress
from pitch.lib.emails import BadAddress, address_key, normalize
from pitch.lib.queue import wake
from templates_app import sanitize
from templates_app.services import signatures
from videos.models import Video


class CannotSend(Exception):
    """A message cannot be sent as it is; `sentences` say everything that must be mended. Nothing was sent or changed."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class TooLate(Exception):
    """Undo came after the 20 seconds, or after a mail had left."""


@dataclass(frozen=True)
class Ready:
    """A message that may be sent: recipients without mistakes and the provider they go through."""

    to: list[ParsedAddress]
    bcc: list[ParsedAddress]
    provider: EmailProvider | None


def parsed_rows(message: Message, kind: str) -> list[ParsedAddress]:
    """Return the draft's rows, parsed again (a row holds what was typed, right or wrong)."""
    found = []
    for row in drafts.rows_of(message, kind):
        parsed = recipients.parse_one(row.get("address", ""))
        found.append(ParsedAddress(row.get("name", "") or parsed.name, parsed.address, parsed.problem))
    return found


def check(message: Message, *, by_hand: bool = False) -> Ready:
    """Return what would be sent; raises CannotSend with everything that stands against it (the preflight)."""
    to, bcc = parsed_rows(message, "to"), parsed_rows(message, "bcc")
    sentences = recipients.check(to, bcc).sentences
    if not to and not bcc:
        sentences.append(_("Nobody is named yet: add at least one recipient."))
    if not message.subject.strip() and not by_hand:
        sentences.append(_("The subject is empty."))
    if message.reply_to:
        try:
            normalize(message.reply_to)
        except BadAddress as err:
            sentences.append(_("The reply address cannot be used: %(why)s") % {"why": err})
    sentences += video_problems(message.video)
    provider = providers.resolve(message.organization)
    if provider is None and not by_hand:
        sentences.append(
            _("Your organization has no mail server yet. An administrator can set it up under Email providers.")
        )
    if sentences:
        raise CannotSend(sentences)
    return Ready(to, bcc, provider)


def video_problems(video: Video | None) -> list[str]:
    """Return what stands against sending this video."""
    if video is None or video.deleted_at is not None:
        return [_("There is no video in this message yet: record or choose one.")]
    if video.state == Video.State.FAILED:
        return [_("The video could not be converted: %(why)s") % {"why": video.error}]
    if video.state != Video.State.READY:
        return [_("The video is still being converted; it will be ready in a moment.")]
    return []


def make_deliveries(message: Message, ready: Ready, *, state: str, due: datetime, words: str = "") -> list[Delivery]:
    """Return the rows of a message: recipients first, then Bcc, as given; everything about them is fixed here."""
    assert message.sender is not None
    domain = providers.message_id_domain(ready.provider, message.sender.email)
    rows = []
    kinds = [(Delivery.Kind.PRIMARY, row) for row in ready.to] + [(Delivery.Kind.BCC, row) for row in ready.bcc]
    for position, (kind, row) in enumerate(kinds):
        delivery = Delivery(
            organization=message.organization,
            message=message,
            kind=kind,
            position=position,
            name=row.name,
            address=row.address,
            address_key=address_key(row.address),
            state=state,
            lane=message.code,
            priority=0,
            provider=ready.provider,
            next_at=due,
            date=due,
            error_description=words,
        )
        delivery.internet_message_id = f"<{delivery.code}@{domain}>"
        rows.append(delivery)
    return rows


def freeze(message: Message, ready: Ready, *, status: str, state: str, due: datetime, words: str = "") -> Message:
    """Turn a draft into a message with deliveries; only one of two clicks wins (A39). Raises NotADraft for the other."""
    assert message.sender is not None
    signature = signatures.default_for(message.sender) if message.with_signature else None
    with transaction.atomic():
        won = Message.objects.filter(
            pk=message.pk, status=Message.Status.DRAFT, draft_version=message.draft_version
        ).update(
            status=status,
            send_after=due,
            sent_at=timezone.now(),
            signature_html=signature.html if signature else "",
            draft_version=message.draft_version + 1,
            updated_at=timezone.now(),
        )
        if not won:
            raise drafts.NotADraft(_("This message was sent already, or changed in another tab."))
        message.refresh_from_db()
        Delivery.objects.bulk_create(make_deliveries(message, ready, state=state, due=due, words=words))
    return message


def send(message: Message) -> Message:
    """Send a draft: freeze its recipients into deliveries, which nothing may claim for the next 20 seconds.

    Raises CannotSend (nothing changed) and NotADraft (sent already).
    """
    ready = check(message)
    due = timezone.now() + timedelta(seconds=settings.UNDO_SECONDS)
    return freeze(message, ready, status=Message.Status.SENDING, state=Delivery.State.QUEUED, due=due)


def make_links(message: Message) -> Message:
    """Freeze a draft without sending: every person gets an own link and page, and the sender mails by hand (copy for Outlook)."""
    ready = check(message, by_hand=True)
    words = _("Mailed by hand")
    return freeze(
        message, ready, status=Message.Status.COMPLETED, state=Delivery.State.SKIPPED, due=timezone.now(), words=words
    )


def undo(message: Message) -> Message:
    """Take a message back while nothing can have left; it is a draft again, with everything in it. Raises TooLate."""
    now = timezone.now()
    with transaction.atomic():
        taken = Message.objects.filter(pk=message.pk, status=Message.Status.SENDING, send_after__gt=now).update(
            status=Message.Status.DRAFT, send_after=None, sent_at=None, draft_saved_at=now, updated_at=now
        )
        if not taken:
            raise TooLate(
                _("It is too late to undo: the mails are on their way. You can still cancel those that wait.")
            )
        # No row was claimable, so nothing happened to any of them that could be lost.
        Delivery.objects.filter(message=message).delete()
    message.refresh_from_db()
    return message


def cancel(message: Message, *, actor: User | None = None) -> tuple[int, int]:
    """Stop what has not gone; returns how many were stopped and how many had gone or are going.

    `actor` is an administrator who does it to somebody's message: that goes into the administrators' log.
    """
    now = timezone.now()
    # Before the rows: one that is being tried at this moment sees it when it would wait again (sending.settle).
    asked = Message.objects.filter(pk=message.pk, status=Message.Status.SENDING, canceled_at__isnull=True).update(
        canceled_at=now
    )
    stopped = Delivery.objects.filter(message=message, state__in=Delivery.WAITING).update(
        state=Delivery.State.CANCELED, finished_at=now, updated_at=now
    )
    gone = (
        Delivery.objects.filter(message=message)
        .exclude(state__in=[Delivery.State.CANCELED, Delivery.State.SKIPPED])
        .count()
    )
    if not Delivery.objects.filter(message=message, state__in=Delivery.OPEN).exists():
        status = Message.Status.COMPLETED if gone else Message.Status.CANCELED
        Message.objects.filter(pk=message.pk, status=Message.Status.SENDING).update(status=status, updated_at=now)
    if actor is not None and (asked or stopped):
        audit.record(message.organization, actor, "message canceled", message.code, stopped=stopped, gone=gone)
    return stopped, gone


def pause(message: Message) -> bool:
    """Hold back what has not gone; returns whether anything could be held back."""
    now = timezone.now()
    sending = Message.objects.filter(pk=message.pk, status=Message.Status.SENDING, paused_at__isnull=True)
    return bool(sending.update(paused_at=now, updated_at=now))


def resume(message: Message) -> bool:
    """Let a paused message go on; returns whether it was paused."""
    return bool(providers.resume(Message.objects.filter(pk=message.pk)))


def send_test(message: Message, user: User) -> Delivery:
    """Send the draft as it is to the sender alone, at once; it counts nowhere. Raises CannotSend."""
    sentences = video_problems(message.video)
    provider = providers.resolve(message.organization)
    if provider is None:
        sentences.append(
            _("Your organization has no mail server yet. An administrator can set it up under Email providers.")
        )
    if sentences:
        raise CannotSend(sentences)
    now = timezone.now()
    signature = signatures.default_for(user) if message.with_signature else None
    with transaction.atomic():
        copy = Message.objects.create(
            organization=message.organization,
            sender=user,
            is_test=True,
            status=Message.Status.SENDING,
            video=message.video,
            subject=_("Test: %(subject)s") % {"subject": message.subject or _("A video for you")},
            text_html=sanitize.clean_html(message.text_html),
            signature_html=signature.html if signature else "",
            reply_to=message.reply_to,
            language=message.language,
            send_after=now,
            sent_at=now,
        )
        me = Ready([ParsedAddress(user.name, user.email)], [], provider)
        delivery = make_deliveries(copy, me, state=Delivery.State.QUEUED, due=now)[0]
        delivery.save()
        wake("messaging.tasks.pump", cluster="send")
    return delivery
