"""Recovery: what becomes of rows whose holder is gone (messaging.md (c)).

By the journal, if it is on this host: answered rows get their result, those whose final dot went out are in doubt, the others were
never sent. Without it (a host lost with its disk) only the last window is in doubt, because only that was committed as in flight.
A row in doubt is never sent again by itself (R379, A39).
"""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from messaging.models import Delivery
from messaging.services import claims, journals, results, slots
from messaging.services.journals import Marks
from messaging.services.results import Change


def recover() -> int:
    """Settle or give back the rows of dead pumps; returns how many. Safe to call at any time, from many processes."""
    now = timezone.now()
    count = 0
    held = Delivery.objects.filter(state=Delivery.State.LEASED).order_by().values_list("lease", flat=True).distinct()
    for lease in list(held):
        if not slots.is_alive(lease, now):
            count += recover_lease(lease)
    for lease in journals.left_behind():
        count += hear_late(lease)
    return count


def recover_lease(lease: str) -> int:
    """Settle the rows of one dead holder; returns how many."""
    marks = journals.read(lease)
    rows = list(Delivery.objects.filter(state=Delivery.State.LEASED, lease=lease))
    loaded = claims.load([row.pk for row in rows])
    if marks is not None:
        waiting = settle_by_journal(loaded, marks)
    else:
        waiting = [row for row in loaded if row.in_flight_at is None]
        doubt([row for row in loaded if row.in_flight_at is not None])
    results.release(waiting, lease)
    results.complete({row.message_id for row in loaded})
    slots.release(lease)
    return len(loaded)


def settle_by_journal(rows: Sequence[Delivery], marks: Marks) -> list[Delivery]:
    """Settle what the journal knows about; returns the rows it says nothing of, which were not sent."""
    with transaction.atomic():
        results.write([(row, marks.results[row.pk]) for row in rows if row.pk in marks.results])
    doubt([row for row in rows if row.pk in marks.dotted and row.pk not in marks.results])
    return [row for row in rows if row.pk not in marks.dotted]


def doubt(rows: Sequence[Delivery]) -> None:
    """Say of rows that nobody knows."""
    for row in rows:
        results.settle(row, Change(Delivery.State.IN_DOUBT, {"error_description": results.doubt_words()}))


def hear_late(lease: str) -> int:
    """Let the journal of a host that was given up tell after all: what it saw answered is no doubt; returns how many rows."""
    marks = journals.read(lease)
    count = 0
    if marks is not None:
        rows = claims.load(
            list(Delivery.objects.filter(state=Delivery.State.IN_DOUBT, lease=lease).values_list("pk", flat=True))
        )
        for row in rows:
            count += hear(row, marks)
        results.complete({row.message_id for row in rows})
    journals.remove(lease)
    return count


def hear(row: Delivery, marks: Marks) -> bool:
    """Take a row out of doubt if its journal knows what happened; returns whether it did."""
    doubted = Delivery.objects.filter(pk=row.pk, state=Delivery.State.IN_DOUBT, lease=row.lease)
    result = marks.results.get(row.pk)
    if result is None:
        return False
    with transaction.atomic():
        if not doubted.update(state=Delivery.State.LEASED, lease_until=timezone.now()):
            return False
        results.write([(row, result)])
    return True
