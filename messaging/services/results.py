"""Results: what one try means for its row (messaging.md (c), reply classes), written down in small commits."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import limits
from messaging.models import Delivery, Message, Suppression
from messaging.transports.base import Outcome, Result


@dataclass(frozen=True)
class Change:
    """The next state of a row, with its columns."""

    state: str
    values: dict[str, Any] = field(default_factory=dict)
    suppresses: bool = False


def doubt_words() -> str:
    """Return the sentence for a mail of which nobody knows whether it arrived."""
    return _(
        "The connection ended after the mail had been handed over and before the server answered. It may have arrived."
    )


def retry_at(delivery: Delivery, hint: float | None) -> timedelta:
    """Return how long to wait before the next try: the server's own wish, else 1, 5, 15, 60, 180, 360 minutes ± 20 %."""
    if hint is not None:
        return timedelta(seconds=min(max(hint, 10.0), 6 * 3600))
    minutes = limits.RETRY_MINUTES[min(delivery.attempts, len(limits.RETRY_MINUTES) - 1)]
    return timedelta(minutes=minutes * random.uniform(0.8, 1.2))  # noqa: S311  (spreading load, not a secret)


def decide(delivery: Delivery, result: Result, now: datetime) -> Change:
    """Return what a try means; a dead address is not written to again."""
    words = {"reply_code": result.code, "reply_text": result.text, "attempts": delivery.attempts + 1}
    states = Delivery.State
    too_long = now - delivery.date > limits.GIVE_UP_AFTER or delivery.attempts + 1 >= limits.MAX_ATTEMPTS
    match result.outcome:
        case Outcome.ACCEPTED:
            return Change(states.ACCEPTED, {"accepted_at": now, **words})
        case Outcome.DEFERRED | Outcome.LOST if too_long:
            return Change(states.ERROR, {"error_description": _("Given up after many tries."), **words})
        case Outcome.DEFERRED:
            later = now + retry_at(delivery, result.retry_after)
            return Change(states.DEFERRED, {"next_at": later, "in_flight_at": None, **words})
        case Outcome.LOST:
            # Nothing was sent, so it may go out at once; a server that hangs up every time is given time.
            again = now if delivery.attempts < 2 else now + retry_at(delivery, None)
            return Change(states.QUEUED, {"next_at": again, "in_flight_at": None, "attempts": delivery.attempts + 1})
        case Outcome.IN_DOUBT:
            return Change(states.IN_DOUBT, {"error_description": doubt_words(), **words})
        case Outcome.BOUNCED:
            return Change(states.BOUNCED, words, suppresses=result.is_hard and not delivery.message.is_test)
        case Outcome.DROPPED:
            return Change(states.DROPPED, words)
        case Outcome.IMPOSSIBLE:
            return Change(states.ERROR, {"error_description": result.text, **words, "reply_text": ""})


ACCEPT = """
WITH answer(id, code, text) AS (VALUES {rows})
UPDATE messaging_delivery
SET state = 'accepted', lease = '', lease_until = NULL, attempts = attempts + 1, error_description = '', error_enum = '',
    reply_code = answer.code, reply_text = answer.text, accepted_at = %s, finished_at = %s, updated_at = %s
FROM answer
WHERE messaging_delivery.id = answer.id AND lease = %s AND state = 'leased'
"""


def write(answered: Sequence[tuple[Delivery, Result]]) -> set[int]:
    """Write down tries; returns the messages that had a row ended by it. The caller holds the transaction.

    Each row is fenced by its lease: what another process decided about it meanwhile stands. The usual case is written by hand,
    one statement for all accepted rows of a lease.
    """
    now = timezone.now()
    ended: set[int] = set()
    accepted: dict[str, list[tuple[Delivery, Result]]] = {}
    for row, result in answered:
        if result.outcome is Outcome.ACCEPTED:
            accepted.setdefault(row.lease, []).append((row, result))
        elif settle(row, decide(row, result, now), result):
            ended.add(row.message_id)
    moment = connection.ops.adapt_datetimefield_value(now)
    for lease, pairs in accepted.items():
        values = [value for row, result in pairs for value in (row.pk, result.code, result.text[:500])]
        places = ", ".join(["(CAST(%s AS bigint), CAST(%s AS integer), CAST(%s AS text))"] * len(pairs))
        with connection.cursor() as cursor:
            cursor.execute(ACCEPT.format(rows=places), [*values, moment, moment, moment, lease])
        ended |= {row.message_id for row, _result in pairs}
    return ended


def settle(delivery: Delivery, change: Change, result: Result | None = None) -> bool:
    """Give a leased row its next state; returns whether the row has ended by it. Does nothing if the lease was lost."""
    has_ended = change.state not in Delivery.OPEN
    now = timezone.now()
    mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.LEASED, lease=delivery.lease)
    changed = mine.update(
        state=change.state,
        # A doubt keeps its lease: the journal of a host that comes back may still tell.
        lease=delivery.lease if change.state == Delivery.State.IN_DOUBT else "",
        lease_until=None,
        updated_at=now,
        finished_at=now if has_ended else None,
        **change.values,
    )
    if not changed:
        return False
    if change.suppresses and result is not None:
        suppress_address(delivery, result)
    return has_ended or stop_canceled(delivery)


def skip(delivery: Delivery, code: str, sentence: str) -> None:
    """Write down that an address must not get the mail, and why."""
    if settle(delivery, Change(Delivery.State.SKIPPED, {"error_enum": code, "error_description": sentence})):
        complete([delivery.message_id])


def release(rows: Sequence[Delivery], lease: str) -> None:
    """Let leased rows wait again that were not tried; those of a message canceled meanwhile are canceled."""
    now = timezone.now()
    mine = Delivery.objects.filter(pk__in=[row.pk for row in rows], state=Delivery.State.LEASED, lease=lease)
    mine.update(state=Delivery.State.QUEUED, lease="", lease_until=None, in_flight_at=None, updated_at=now)
    stopped = [row for row in rows if stop_canceled(row)]
    complete({row.message_id for row in stopped})


def stop_canceled(delivery: Delivery) -> bool:
    """Cancel a row that would wait again although its message was canceled while it was tried; returns whether it did."""
    now = timezone.now()
    rows = Delivery.objects.filter(pk=delivery.pk, state__in=Delivery.WAITING, message__canceled_at__isnull=False)
    return bool(rows.update(state=Delivery.State.CANCELED, finished_at=now, updated_at=now))


def complete(messages: Sequence[int] | set[int]) -> None:
    """Say of messages that they are completed if none of their rows waits any more."""
    for message_id in messages:
        if Delivery.objects.filter(message_id=message_id, state__in=Delivery.OPEN).exists():
            continue
        rest = [Delivery.State.CANCELED, Delivery.State.SKIPPED]
        has_gone = Delivery.objects.filter(message_id=message_id).exclude(state__in=rest).exists()
        sending = Message.objects.filter(pk=message_id, status=Message.Status.SENDING)
        now = timezone.now()
        if not has_gone:
            sending.filter(canceled_at__isnull=False).update(status=Message.Status.CANCELED, updated_at=now)
        sending.update(status=Message.Status.COMPLETED, updated_at=now)


def suppress_address(delivery: Delivery, result: Result) -> None:
    """Remember that an address does not exist, once."""
    with suppress(IntegrityError), transaction.atomic():
        Suppression.objects.create(
            organization_id=delivery.organization_id,
            address_key=delivery.address_key,
            reason=Suppression.Reason.BOUNCE,
            detail=f"{result.code or ''} {result.text}".strip()[:500],
            delivery=delivery,
        )
