"""Slots: how many connections a provider gets at once, and who holds them (messaging.md (c))."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from messaging import limits
from messaging.models import EmailProvider, PumpSlot
from messaging.services import leases
from pitch.lib.outages import AWAY

log = logging.getLogger(__name__)

REGAIN_AFTER = timedelta(minutes=5)


class Slot(threading.Thread):
    """A slot that this process holds; a thread renews it. Use it as a context."""

    def __init__(self, row: PumpSlot, lease: str, clock: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self.row, self.lease, self.clock = row, lease, clock
        self.over = threading.Event()
        self.deadline = clock() + limits.SLOT.total_seconds() - limits.SLOT_MARGIN

    def is_held(self) -> bool:
        """Say whether this process may still send. By its own clock, with a margin: nobody else can have the slot yet."""
        return self.clock() < self.deadline

    def run(self) -> None:
        """Renew until released."""
        try:
            while not self.over.wait(limits.SLOT_RENEWED_EVERY):
                begun = self.clock()
                try:
                    renewed = self.renew()
                except AWAY:
                    log.exception("The slot %s could not be renewed.", self.row)
                    continue
                if not renewed:
                    self.deadline = begun
                    return
                self.deadline = begun + limits.SLOT.total_seconds() - limits.SLOT_MARGIN
        finally:
            connection.close()

    def renew(self) -> bool:
        """Hold the slot for another while; False if it is somebody else's by now."""
        mine = PumpSlot.objects.filter(pk=self.row.pk, holder=self.lease)
        return bool(mine.update(until=timezone.now() + limits.SLOT))

    def __enter__(self) -> "Slot":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        release(self.lease)


def allowed(provider: EmailProvider) -> int:
    """Return how many connections the provider bears at the moment."""
    return min(provider.connections or provider.max_connections, provider.max_connections)


def take(provider: EmailProvider, clock: Callable[[], float] = time.monotonic) -> Slot | None:
    """Return a slot of the provider, held by this process; None if all that it bears are held."""
    for number in range(allowed(provider)):
        row, _made = PumpSlot.objects.get_or_create(provider=provider, number=number)
        now = timezone.now()
        lease = leases.new_lease()
        free = Q(until__isnull=True) | Q(until__lt=now)
        won = PumpSlot.objects.filter(free, pk=row.pk).update(holder=lease, until=now + limits.SLOT, taken_at=now)
        if won:
            return Slot(row, lease, clock)
    return None


def has_free(provider: EmailProvider) -> bool:
    """Say whether another pump could get a slot."""
    held = PumpSlot.objects.filter(provider=provider, until__gte=timezone.now(), number__lt=allowed(provider)).count()
    return held < allowed(provider)


def release(lease: str) -> None:
    """Give a slot back."""
    PumpSlot.objects.filter(holder=lease).update(holder="", until=None)


def is_alive(lease: str, now: datetime) -> bool:
    """Say whether the holder of a lease may still be sending: it holds its slot, and is not known to be dead."""
    if leases.is_dead(lease):
        return False
    return PumpSlot.objects.filter(holder=lease, until__gte=now - timedelta(seconds=limits.SLOT_MARGIN)).exists()


def use_fewer(provider: EmailProvider) -> None:
    """Halve the connections to a server that says it has too many; never below one."""
    with transaction.atomic():
        row = EmailProvider.objects.select_for_update().get(pk=provider.pk)
        row.connections = max(1, allowed(row) // 2)
        row.connections_changed_at = timezone.now()
        row.save(update_fields=["connections", "connections_changed_at"])
    log.warning("Provider %s says there are too many connections; it gets %s.", provider.pk, row.connections)


def regain() -> int:
    """Give providers one more connection after some quiet minutes (called by the sweep); returns how many got one."""
    now = timezone.now()
    rows = EmailProvider.objects.filter(connections__isnull=False, connections_changed_at__lt=now - REGAIN_AFTER)
    count = 0
    for row in rows:
        more = allowed(row) + 1
        value = None if more >= row.max_connections else more
        count += rows.filter(pk=row.pk, connections=row.connections).update(
            connections=value, connections_changed_at=now
        )
    return count
