"""The simple pump: claim one due row, send it, write down what became of it, take the next.

The rows are the queue. A claim is a compare-and-set; a partial unique index lets one row of a lane be leased at a time, so one
message's mails go strictly one after another (R379) whatever runs at once.
"""

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import limits, mime
from messaging.models import Delivery, EmailProvider, Message, Suppression, Unsubscribe
from messaging.services import leases, providers, rendering
from messaging.transports.base import Envelope, Outcome, ProviderStopped, Result, Transport
from pitch.lib.queue import wake

log = logging.getLogger(__name__)

NUDGED = "pump:nudged"


class LeaseLost(Exception):
    """Somebody else decided about this row meanwhile; this process must not send it."""


def due() -> QuerySet[Delivery]:
    """Return the rows that may be claimed now, most urgent first, in the order they were given."""
    now = timezone.now()
    busy = Delivery.objects.filter(lane=OuterRef("lane"), state=Delivery.State.LEASED).exclude(lane="")
    return (
        Delivery.objects.filter(state__in=Delivery.WAITING, next_at__lte=now)
        .filter(message__status=Message.Status.SENDING, message__paused_at__isnull=True, organization__is_active=True)
        .filter(message__canceled_at__isnull=True)
        .filter(Q(message__send_after__isnull=True) | Q(message__send_after__lte=now))
        .filter(Q(provider__isnull=True) | providers.usable())
        .filter(~Exists(busy))
        .order_by("priority", "next_at", "position", "id")
    )


def claim() -> Delivery | None:
    """Lease the next due row for this process; None if there is none."""
    lease = leases.new_lease()
    for pk in list(due().values_list("pk", flat=True)[:20]):
        try:
            with transaction.atomic():
                won = Delivery.objects.filter(pk=pk, state__in=Delivery.WAITING).update(
                    state=Delivery.State.LEASED,
                    lease=lease,
                    lease_until=timezone.now() + limits.LEASE,
                    in_flight_at=None,
                    updated_at=timezone.now(),
                )
        except IntegrityError:
            continue  # the lane is taken: another worker was quicker
        if won:
            return Delivery.objects.select_related(
                "organization", "message__organization", "message__sender", "message__video", "provider"
            ).get(pk=pk)
    return None


def settle(delivery: Delivery, state: str, **values: Any) -> bool:
    """Give a leased row its next state; False if the lease was lost. Completes the message with its last row."""
    ended = state not in Delivery.OPEN
    now = timezone.now()
    changed = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.LEASED, lease=delivery.lease).update(
        state=state,
        lease="",
        lease_until=None,
        updated_at=now,
        finished_at=now if ended else None,
        **values,
    )
    if changed and not ended:
        ended = stop_canceled(delivery)
    if changed and ended:
        complete(delivery.message_id)
    return bool(changed)


def stop_canceled(delivery: Delivery) -> bool:
    """Cancel a row that would wait again although its message was canceled while it was tried; returns whether it did."""
    now = timezone.now()
    rows = Delivery.objects.filter(pk=delivery.pk, state__in=Delivery.WAITING, message__canceled_at__isnull=False)
    return bool(rows.update(state=Delivery.State.CANCELED, finished_at=now, updated_at=now))


def complete(message_id: int) -> None:
    """Say that a message is completed if none of its rows waits any more."""
    if not Delivery.objects.filter(message_id=message_id, state__in=Delivery.OPEN).exists():
        rest = [Delivery.State.CANCELED, Delivery.State.SKIPPED]
        gone = Delivery.objects.filter(message_id=message_id).exclude(state__in=rest).exists()
        sending = Message.objects.filter(pk=message_id, status=Message.Status.SENDING)
        if not gone:
            sending.filter(canceled_at__isnull=False).update(status=Message.Status.CANCELED, updated_at=timezone.now())
        sending.update(status=Message.Status.COMPLETED, updated_at=timezone.now())


def obstacle(delivery: Delivery) -> tuple[str, str] | None:
    """Return (error code, sentence) if this address must not get the mail; asked at the claim, not at writing."""
    message = delivery.message
    if message.expires_at is not None and message.expires_at <= timezone.now():
        return "expired", _("The message was not to be sent after its end.")
    if message.is_test:
        return None
    key = {"organization_id": delivery.organization_id, "address_key": delivery.address_key}
    if Unsubscribe.objects.filter(**key, group="", ended_at__isnull=True).exists():
        return "userUnsubscribeFromThisGroup", _("This person asked for no more mails from your organization.")
    suppressed = Suppression.objects.filter(**key, lifted_at__isnull=True).first()
    if suppressed is not None:
        return "suppressed", _("Earlier mails to this address came back: %(why)s") % {
            "why": suppressed.detail or suppressed.get_reason_display()
        }
    return None


class Pump:
    """One run: keeps one connection for each provider, and ends when nothing is due or its time is up."""

    def __init__(self, seconds: float = limits.PUMP_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.end = clock() + seconds
        self.transports: dict[int, Transport] = {}

    def run(self) -> int:
        """Send what is due; returns how many rows were settled."""
        count = 0
        try:
            while self.clock() < self.end:
                delivery = claim()
                if delivery is None:
                    return count
                self.deliver(delivery)
                count += 1
            wake("messaging.tasks.pump")
            return count
        finally:
            for transport in self.transports.values():
                transport.close()

    def deliver(self, delivery: Delivery) -> None:
        """Send one leased row and write down what became of it."""
        against = obstacle(delivery)
        if against is not None:
            settle(delivery, Delivery.State.SKIPPED, error_enum=against[0], error_description=against[1])
            return
        provider = delivery.provider or providers.resolve(delivery.organization)
        if provider is None:
            settle(delivery, Delivery.State.ERROR, error_description=_("No mail server is set up any more."))
            return
        if delivery.provider is None:
            # Its provider was deleted: from now on it waits for this one.
            delivery.provider = provider
            if provider.retry_at is not None and provider.retry_at > timezone.now():
                settle(delivery, Delivery.State.QUEUED, provider=provider)
                return
        try:
            letter = rendering.letter_for(delivery, provider)
            content = mime.build(letter)
        except mime.BadHeader as err:
            settle(delivery, Delivery.State.ERROR, error_description=str(err)[:500])
            return
        envelope = Envelope(providers.envelope_from(provider, letter.sender.address), delivery.address, content)
        transport = self.transport(provider)
        try:
            result = transport.send(envelope, before_dot=lambda: mark_in_flight(delivery))
        except LeaseLost:
            self.forget(provider)  # the server still waits for a dot that must not come
        except ProviderStopped as err:
            log.warning("Provider %s stops: %s", provider.pk, err)
            providers.stop(provider, err)
            # Nobody's attempt is burned: the row waits for the provider.
            settle(delivery, Delivery.State.QUEUED, in_flight_at=None, provider=provider)
        else:
            providers.run_again(provider)
            record(delivery, result)

    def transport(self, provider: EmailProvider) -> Transport:
        """Return the run's connection to a provider."""
        if provider.pk not in self.transports:
            self.transports[provider.pk] = providers.transport_for(provider)
        return self.transports[provider.pk]

    def forget(self, provider: EmailProvider) -> None:
        """Drop a connection that is in the middle of something."""
        self.transports.pop(provider.pk).drop()


def mark_in_flight(delivery: Delivery) -> None:
    """Commit that the final dot is about to go out; raises LeaseLost if the row is not ours any more."""
    marked = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.LEASED, lease=delivery.lease).update(
        in_flight_at=timezone.now()
    )
    if not marked:
        raise LeaseLost


def retry_at(delivery: Delivery, hint: float | None) -> timedelta:
    """Return how long to wait before the next try: the server's own wish, else 1, 5, 15, 60, 180, 360 minutes ± 20 %."""
    if hint is not None:
        return timedelta(seconds=min(max(hint, 10.0), 6 * 3600))
    minutes = limits.RETRY_MINUTES[min(delivery.attempts, len(limits.RETRY_MINUTES) - 1)]
    return timedelta(minutes=minutes * random.uniform(0.8, 1.2))  # noqa: S311  (spreading load, not a secret)


def record(delivery: Delivery, result: Result) -> None:
    """Write down one try (messaging.md (c)); a dead address is not written to again."""
    words = {"reply_code": result.code, "reply_text": result.text, "attempts": F("attempts") + 1}
    now = timezone.now()
    too_long = now - delivery.date > limits.GIVE_UP_AFTER or delivery.attempts + 1 >= limits.MAX_ATTEMPTS
    match result.outcome:
        case Outcome.ACCEPTED:
            settle(delivery, Delivery.State.ACCEPTED, accepted_at=now, provider=delivery.provider, **words)
        case Outcome.DEFERRED | Outcome.LOST if too_long:
            settle(delivery, Delivery.State.ERROR, error_description=_("Given up after many tries."), **words)
        case Outcome.DEFERRED:
            later = now + retry_at(delivery, result.retry_after)
            settle(delivery, Delivery.State.DEFERRED, next_at=later, in_flight_at=None, **words)
        case Outcome.LOST:
            # Nothing was sent, so it may go out at once; a server that hangs up every time is given time.
            again = now if delivery.attempts < 2 else now + retry_at(delivery, None)
            settle(delivery, Delivery.State.QUEUED, next_at=again, in_flight_at=None, attempts=F("attempts") + 1)
        case Outcome.IN_DOUBT:
            settle(delivery, Delivery.State.IN_DOUBT, error_description=doubt_words(), **words)
        case Outcome.BOUNCED:
            settle(delivery, Delivery.State.BOUNCED, **words)
            if result.is_hard and not delivery.message.is_test:
                suppress_address(delivery, result)
        case Outcome.DROPPED:
            settle(delivery, Delivery.State.DROPPED, **words)
        case Outcome.IMPOSSIBLE:
            settle(delivery, Delivery.State.ERROR, error_description=result.text, **words)


def doubt_words() -> str:
    """Return the sentence for a mail of which nobody knows whether it arrived."""
    return _(
        "The connection ended after the mail had been handed over and before the server answered. It may have arrived."
    )


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


def recover() -> int:
    """Give back rows whose holder is gone; returns how many.

    Before the final dot nothing was sent: the row waits again. After it, nobody knows: it is in doubt, and never resent by
    itself (R379, A39).
    """
    now = timezone.now()
    count = 0
    for delivery in Delivery.objects.filter(state=Delivery.State.LEASED).select_related("message")[:500]:
        ended = delivery.lease_until is not None and delivery.lease_until < now
        if not ended and not leases.is_dead(delivery.lease):
            continue
        if delivery.in_flight_at is None:
            count += settle(delivery, Delivery.State.QUEUED, next_at=now)
        else:
            count += settle(delivery, Delivery.State.IN_DOUBT, error_description=doubt_words())
    return count


def nudge() -> bool:
    """Wake a pump if a row is due (called every second); returns whether one was woken."""
    if not due().exists() or not cache.add(NUDGED, 1, 5):
        return False
    wake("messaging.tasks.pump")
    return True


def pump() -> int:
    """Run one pump; returns how many rows it settled."""
    recover()
    try:
        return Pump().run()
    finally:
        cache.delete(NUDGED)
