"""Ways to send and to look between the steps of a pump."""

from contextlib import contextmanager, suppress
from datetime import timedelta

import time_machine
from django.utils import timezone

from messaging import tasks
from messaging.models import Delivery, PumpSlot
from messaging.services import composing, journals, pumps, slots


def send(message, at=21):
    """Send a draft and run a pump after the undo time."""
    message = composing.send(message)
    with time_machine.travel(timezone.now() + timedelta(seconds=at), tick=True):
        tasks.pump()
    message.refresh_from_db()
    return message


@contextmanager
def pumping(provider):
    """Give a pump that holds a slot, after the undo time, for tests that look between its steps."""
    with time_machine.travel(timezone.now() + timedelta(seconds=21), tick=True):
        slot = slots.take(provider)
        pump = pumps.Pump(provider, slot)
        try:
            yield pump
        finally:
            with suppress(OSError):  # the test may have ended the pump itself
                pump.journal.close()
            slots.release(slot.lease)


def die(pump):
    """Make it look as if the pump's process was killed: its id was given to another one since."""
    host, pid, _started, rest = pump.lease.split("|")
    dead = f"{host}|{pid}|1|{rest}"
    Delivery.objects.filter(lease=pump.lease).update(lease=dead)
    PumpSlot.objects.filter(holder=pump.lease).update(holder=dead)
    journals.path_of(pump.lease).rename(journals.path_of(dead))
    return dead


def states(message):
    return list(message.deliveries.order_by("position").values_list("state", flat=True))
