"""Facts about deliveries: appended once each, and what a fact says about a delivery's state."""

import hashlib
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from messaging.models import Delivery, DeliveryEvent, Visit
from messaging.models.visits import Verdict


def fingerprint(*parts: object) -> str:
    """Return the SHA-256 (hex) of the parts: the same fact told twice has the same one (design.md §5.9)."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def record(
    delivery: Delivery,
    kind: str,
    verdict: str,
    reason: str,
    *,
    key: str,
    visit: Visit | None = None,
    occurred_at: datetime | None = None,
    data: dict[str, Any] | None = None,
) -> bool:
    """Append one fact; a fact that is known already stays as it is.

    `kind` is a DeliveryEvent.Kind, `verdict` a Verdict, `reason` a word that says why, `key` what makes the fact the same when it
    is told again. Returns whether it is new.
    """
    mark = fingerprint("pitch", delivery.code, kind, key)
    if DeliveryEvent.objects.filter(fingerprint=mark).exists():
        return False
    try:
        with transaction.atomic():
            DeliveryEvent.objects.create(
                organization_id=delivery.organization_id,
                delivery=delivery,
                visit=visit,
                kind=kind,
                verdict=verdict,
                reason=reason,
                fingerprint=mark,
                data=data or {},
                occurred_at=occurred_at or timezone.now(),
            )
    except IntegrityError:
        return False  # another request was quicker with the same fact
    return True


def raise_to_human(delivery: Delivery, kind: str, reason: str, *, key: str) -> bool:
    """Revise the verdict of a fact to human, with the reason. Returns whether it was another one before."""
    mark = fingerprint("pitch", delivery.code, kind, key)
    changed = (
        DeliveryEvent.objects.filter(fingerprint=mark)
        .exclude(verdict=Verdict.HUMAN)
        .update(verdict=Verdict.HUMAN, reason=reason)
    )
    return changed == 1


def confirm_arrival(delivery: Delivery, reason: str) -> bool:
    """Settle a doubt: whoever uses the personal link has the mail, so the server did take it (messaging.md (c)).

    `reason` is what was seen ("visit", "unsubscribe"). Returns whether there was a doubt.
    """
    changed = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.IN_DOUBT).update(
        state=Delivery.State.ACCEPTED,
        accepted_at=timezone.now(),
        error_enum="",
        error_description=f"Was in doubt; settled by: {reason}.",
        updated_at=timezone.now(),
    )
    return changed == 1
