"""Opt-outs by the people themselves. An empty group is the organization's personal video mails."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from messaging.models import Delivery, DeliveryEvent, Unsubscribe
from messaging.models.visits import Verdict
from messaging.services import events
from pitch.lib import signing

PERSONAL = ""
UNDO_SECONDS = 3600


def active(organization_id: int, address_key: str, group: str = PERSONAL) -> QuerySet[Unsubscribe]:
    """Return the standing opt-out of one address (none or one row)."""
    return Unsubscribe.objects.filter(
        organization_id=organization_id, address_key=address_key, group=group, ended_at__isnull=True
    )


def is_unsubscribed(organization_id: int, address_key: str, group: str = PERSONAL) -> bool:
    """Say whether this address wants no mails of the group; asked in the claim, for every mail."""
    return bool(address_key) and active(organization_id, address_key, group).exists()


def record(delivery: Delivery, source: str) -> Unsubscribe:
    """Opt the delivery's address out of the organization's personal mails; again and again is the same as once.

    `source`: "page" (the form) or "one-click" (RFC 8058). Returns the standing opt-out.
    """
    row = active(delivery.organization_id, delivery.address_key).first()
    if row is None:
        try:
            with transaction.atomic():
                row = Unsubscribe.objects.create(
                    organization_id=delivery.organization_id,
                    address_key=delivery.address_key,
                    group=PERSONAL,
                    user_id=delivery.user_id,
                    delivery=delivery,
                    source=source,
                )
        except IntegrityError:  # the same person pressed twice at once
            row = active(delivery.organization_id, delivery.address_key).get()
        Delivery.objects.filter(pk=delivery.pk).update(unsubscribed_at=row.created_at)
        events.record(delivery, DeliveryEvent.Kind.UNSUBSCRIBED, Verdict.HUMAN, source, key=str(row.pk))
    events.confirm_arrival(delivery, "unsubscribe")
    return row


def undo_value(row: Unsubscribe, now: int) -> str:
    """Return what the page posts to take this very opt-out back within the hour; `now` is Unix time in seconds."""
    expires = now + UNDO_SECONDS
    return f"{expires}.{signing.sign_until('resubscribe', str(row.pk), expires)}"


def undo(delivery: Delivery, value: str) -> bool:
    """End the standing opt-out if `value` was made for it by `undo_value` less than an hour ago.

    An old mail, or one that was passed on, can so never bring somebody back (abuse case A27). Returns whether the address may be
    written to now.
    """
    row = active(delivery.organization_id, delivery.address_key).first()
    if row is None:
        return True
    expires, dot, given = value.partition(".")
    if not dot or not expires.isdecimal() or len(expires) > 12:
        return False
    if not signing.check_until("resubscribe", str(row.pk), int(expires), given):
        return False
    Unsubscribe.objects.filter(pk=row.pk, ended_at__isnull=True).update(ended_at=timezone.now())
    Delivery.objects.filter(pk=delivery.pk).update(unsubscribed_at=None)
    return True
