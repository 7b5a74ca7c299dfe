"""Budgets: a provider's limits in its own units, never passed in any span, kept over restarts and shared by all workers."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from messaging.models import EmailProvider, ProviderLimit

SLICES = 60


def slice_of(moment: float, seconds: int) -> int:
    """Return the number of the slice of a span that `moment` (Unix time) lies in."""
    return math.floor(moment * SLICES / seconds)


def spent(limit: ProviderLimit, moment: float) -> dict[int, int]:
    """Return what was spent in the slices that a span ending at `moment` touches: one slice more than it holds."""
    current = slice_of(moment, limit.seconds)
    return {int(number): count for number, count in limit.spent.items() if int(number) >= current - SLICES}


def room(limit: ProviderLimit, moment: float) -> int:
    """Return how many mails the limit allows at `moment`."""
    return max(0, limit.amount - sum(spent(limit, moment).values()))


def free_again(limit: ProviderLimit, moment: float) -> float:
    """Return when (Unix time) a limit that is used up allows the next mail."""
    oldest = min(spent(limit, moment), default=slice_of(moment, limit.seconds) - SLICES)
    return (oldest + SLICES + 1) * limit.seconds / SLICES


def reserve(provider: EmailProvider, wanted: int) -> int:
    """Take up to `wanted` mails from all limits of a provider at once; returns how many.

    Zero: the provider waits until one of its limits has room (`throttled_until`).
    """
    if not ProviderLimit.objects.filter(provider=provider).exists():
        return wanted
    with transaction.atomic():
        found = list(ProviderLimit.objects.select_for_update().filter(provider=provider).order_by("pk"))
        moment = timezone.now().timestamp()
        count = min([wanted, *(room(limit, moment) for limit in found)])
        if count > 0:
            for limit in found:
                slices = spent(limit, moment)
                current = slice_of(moment, limit.seconds)
                slices[current] = slices.get(current, 0) + count
                limit.spent = {str(number): value for number, value in slices.items()}
                limit.save(update_fields=["spent"])
            return count
        until = max(free_again(limit, moment) for limit in found if not room(limit, moment))
        EmailProvider.objects.filter(pk=provider.pk).update(throttled_until=datetime.fromtimestamp(until, UTC))
        return 0


def give_back(provider: EmailProvider, count: int) -> None:
    """Return what was reserved and not used."""
    if count <= 0:
        return
    with transaction.atomic():
        moment = timezone.now().timestamp()
        for limit in ProviderLimit.objects.select_for_update().filter(provider=provider).order_by("pk"):
            slices, left = spent(limit, moment), count
            for number in sorted(slices, reverse=True):
                taken = min(left, slices[number])
                slices[number] -= taken
                left -= taken
            limit.spent = {str(number): value for number, value in slices.items() if value}
            limit.save(update_fields=["spent"])


def finish_time(limits: Iterable[ProviderLimit], count: int, now: datetime) -> timedelta:
    """Return how long `count` mails take at least under `limits`, by what was spent until now."""
    longest = 0.0
    for limit in limits:
        moment = now.timestamp()
        at_once = room(limit, moment)
        waits = count - at_once
        if waits > 0:
            # What goes at once comes back a span later; where nothing goes at once, what was spent comes back earlier.
            first = limit.seconds if at_once else free_again(limit, moment) - moment
            longest = max(longest, first + (math.ceil(waits / limit.amount) - 1) * limit.seconds)
    return timedelta(seconds=longest)
