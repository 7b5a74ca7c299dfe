"""Pumps: each holds one connection to one provider, claims rows in batches and sends them one after another.

A window of at most ten rows is committed as in flight before its first mail goes out; what became of it is committed with the
next window's mark. In between, the journal knows (messaging/services/journals.py).
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from messaging import limits, mime
from messaging.models import Delivery, EmailProvider, Message, ProviderLimit
from messaging.services import budgets, claims, providers, rendering, results, slots
from messaging.services.journals import Journal
from messaging.services.slots import Slot
from messaging.transports.base import Envelope, Outcome, ProviderStopped, Result, SenderRefused, TooMany, Transport
from pitch.lib import signs

log = logging.getLogger(__name__)


class SlotLost(Exception):
    """This process no longer holds its slot; the mail it was about to finish must not go out."""


class Render(Protocol):
    """How a row becomes a mail; a benchmark may have it ready."""

    def __call__(self, delivery: Delivery, provider: EmailProvider) -> Envelope:
        """Return the mail for a row. Raises mime.BadHeader."""
        ...


def render(delivery: Delivery, provider: EmailProvider) -> Envelope:
    """Return the mail for a row. Raises mime.BadHeader."""
    letter = rendering.letter_for(delivery, provider)
    return Envelope(providers.envelope_from(provider, letter.sender.address), delivery.address, mime.build(letter))


class Pump:
    """One run over one slot; ends when nothing is due, its time is up, its slot is lost or the worker stops."""

    def __init__(
        self,
        provider: EmailProvider,
        slot: Slot,
        *,
        seconds: float = limits.PUMP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        render: Render = render,
    ) -> None:
        self.provider, self.slot, self.clock, self.render = provider, slot, clock, render
        self.lease = slot.lease
        self.end = clock() + seconds
        self.journal = Journal(self.lease)
        self.transport: Transport | None = None
        self.on_connection = 0
        self.connected_at = 0.0
        self.held: deque[Delivery] = deque()  # bulk rows that are leased and not yet in flight
        self.answered: list[tuple[Delivery, Result]] = []  # in the journal, not yet in the database
        self.messages: dict[int, Message] = {}  # read once in a run
        self.touched: set[int] = set()  # messages whose rows ended, not yet looked at for completion
        self.served: list[int] = []  # organizations, the one served longest ago first
        self.count = 0
        self.has_marks = False  # the journal holds something
        self.look_due = 0.0
        self.has_lanes = self.has_limits = True
        self.against: dict[int, tuple[str, str]] = {}
        self.claimed_at = 0.0

    def run(self) -> int:
        """Send what is due; returns how many rows were tried."""
        try:
            while self.may_go_on():
                window = self.next_window()
                if not window:
                    break
                self.send_window(window)
        except SlotLost:
            log.warning("Slot %s was lost while sending.", self.slot.row)
        finally:
            self.finish()
        return self.count

    def may_go_on(self) -> bool:
        """Say whether another window may begin."""
        return self.clock() < self.end and not signs.is_stopping() and self.slot.is_held()

    # ---- What goes next -------------------------------------------------------------------------------------------------
    def next_window(self) -> list[Delivery]:
        """Return up to WINDOW rows that are committed as in flight: personal mail first, then bulk, within the budget."""
        self.look_around()
        budget = budgets.reserve(self.provider, limits.WINDOW) if self.has_limits else limits.WINDOW
        if budget == 0:
            self.flush()
            return []
        wanted: list[Delivery] = []
        if self.has_lanes or any(row.lane for row, _result in self.answered):
            self.flush()  # a lane gives its next row only when the last one is settled
            wanted = claims.claim_lanes(self.provider, self.lease, budget)
            self.has_lanes = bool(wanted)
        while len(wanted) < budget:
            if not self.held and not self.claim_bulk():
                break
            wanted.append(self.held.popleft())
        with transaction.atomic():
            self.write()
            going = claims.put_in_flight(wanted, self.lease)
        if len(going) < len(wanted):
            results.release([row for row in wanted if row not in going], self.lease)
        if self.has_limits:
            budgets.give_back(self.provider, budget - len(going))
        # Nothing may go of what was claimed: there may be more behind it.
        return going if going or not wanted else self.next_window()

    def look_around(self) -> None:
        """Ask now and then, not before every window, whether personal mail waits and whether there are limits."""
        if self.clock() >= self.look_due:
            self.look_due = self.clock() + limits.LOOK_SECONDS
            self.has_lanes = claims.due().filter(provider=self.provider).exclude(lane="").order_by().exists()
            self.has_limits = ProviderLimit.objects.filter(provider=self.provider).exists()

    def claim_bulk(self) -> bool:
        """Claim a batch of one organization, the one served longest ago; returns whether there was one."""
        waiting = claims.organizations_waiting(self.provider)
        random.shuffle(waiting)  # several pumps begin with different ones
        self.served = [o for o in self.served if o in waiting]
        for organization_id in [*[o for o in waiting if o not in self.served], *self.served]:
            # Several wait: smaller bites, so that everybody's turn comes soon.
            bite = limits.BATCH if len(waiting) == 1 else limits.WINDOW
            self.flush()
            claimed = claims.claim_batch(self.provider, self.lease, bite, organization_id)
            claims.attach(claimed, self.messages)
            self.held.extend(claimed)
            self.against = claims.obstacles(self.held)
            self.claimed_at = self.clock()
            if self.held:
                self.served = [*[o for o in self.served if o != organization_id], organization_id]
                return True
        return False

    # ---- Sending ------------------------------------------------------------------------------------------------------
    def send_window(self, window: list[Delivery]) -> None:
        """Send the rows of a window one after another; what was not tried waits again."""
        is_fresh = self.clock() - self.claimed_at < limits.CLAIM_FRESH_SECONDS and not window[0].lane
        against = self.against if is_fresh else claims.obstacles(window)
        ready: deque[tuple[Delivery, Envelope]] = deque()
        for row in window:
            if row.pk in against:
                results.skip(row, *against[row.pk])
                continue
            try:
                ready.append((row, self.render(row, self.provider)))
            except mime.BadHeader as err:
                self.note(row, Result(Outcome.IMPOSSIBLE, None, str(err)[:500]))
            except Exception:  # whatever is wrong with one row, the others go out
                log.exception("The mail of delivery %s could not be made.", row.pk)
                words = _("This mail could not be made. The operator finds the reason in the log.")
                self.note(row, Result(Outcome.IMPOSSIBLE, None, words))
        try:
            while ready:
                row, envelope = ready.popleft()
                self.note(row, self.send(row, envelope, ready[0][1] if ready else None))
        except ProviderStopped as err:
            self.flush()
            results.release([row, *(waiting for waiting, _envelope in ready)], self.lease)
            self.give_way(row, err)
        except SlotLost:
            self.drop()
            raise

    def send(self, row: Delivery, envelope: Envelope, following: Envelope | None) -> Result:
        """Try one mail; see Transport.send."""
        transport = self.connected()
        last = self.on_connection + 1 >= limits.MAILS_PER_CONNECTION
        self.on_connection += 1

        def before_dot() -> None:
            if not self.slot.is_held():
                raise SlotLost
            self.has_marks = True
            self.journal.dot(row.pk)

        return transport.send(envelope, before_dot, None if last else following)

    def connected(self) -> Transport:
        """Return the connection, a new one after MAILS_PER_CONNECTION mails or CONNECTION_SECONDS."""
        is_old = self.clock() - self.connected_at > limits.CONNECTION_SECONDS
        if self.transport is not None and (is_old or self.on_connection >= limits.MAILS_PER_CONNECTION):
            self.transport.close()
            self.transport = None
        if self.transport is None:
            self.transport = providers.transport_for(self.provider)
            self.connected_at, self.on_connection = self.clock(), 0
        return self.transport

    def drop(self) -> None:
        """Forget a connection that is in the middle of something."""
        if self.transport is not None:
            self.transport.drop()
        self.transport = None

    def give_way(self, row: Delivery, err: ProviderStopped) -> None:
        """Do what a refusal asks for that is about no recipient; nobody's attempt is burned by it."""
        self.drop()
        service = {self.provider.envelope_from, self.provider.from_address}
        if isinstance(err, SenderRefused) and err.permanent and not (err.address and err.address in service):
            providers.pause(row.message, err)
            return
        self.end = self.clock()
        if isinstance(err, TooMany):
            slots.use_fewer(self.provider)
        providers.stop(self.provider, err)

    # ---- Writing down --------------------------------------------------------------------------------------------------
    def note(self, row: Delivery, result: Result) -> None:
        """Put a result into the journal; the database gets it with the next window."""
        self.has_marks = True
        self.journal.reply(row.pk, result)
        self.answered.append((row, result))
        self.count += 1

    def write(self) -> None:
        """Write what was answered, in the transaction of the caller."""
        if self.answered:
            self.touched |= results.write(self.answered)
            if any(result.outcome is Outcome.ACCEPTED for _row, result in self.answered):
                providers.run_again(self.provider)
            self.answered.clear()

    def flush(self) -> None:
        """Commit what was answered, on disk; then the journal has nothing to tell that the database does not know."""
        if self.has_marks:
            with transaction.atomic(), durably():
                self.write()
                self.slot.renew()  # something is written in any case: this commit takes those before it to disk
            self.journal.clear()
            self.has_marks = False
        results.complete(self.touched)
        self.touched.clear()

    def finish(self) -> None:
        """Commit, give back what was not tried, end the connection."""
        if self.transport is not None:
            self.transport.close()
        rest = list(self.held)
        self.held.clear()
        self.flush()
        if rest:
            results.release(rest, self.lease)
        self.journal.close()


def run(provider: EmailProvider, *, render: Render = render, seconds: float = limits.PUMP_SECONDS) -> int:
    """Run pumps over the free slots of a provider, several at once if there is much to do; returns how many rows were tried.

    The first runs in this thread; more connections are opened where a bulk waits, because on a real line the round trips
    decide and not the processor.
    """
    first = slots.take(provider)
    if first is None:
        return 0
    helpers = [Helper(provider, slot, render, seconds) for slot in more_slots(provider)]
    for helper in helpers:
        helper.start()
    count = run_slot(provider, first, render, seconds)
    for helper in helpers:
        helper.join()
    return count + sum(helper.count for helper in helpers)


def run_slot(provider: EmailProvider, slot: Slot, render: Render, seconds: float) -> int:
    """Run one pump over a slot and give the slot back."""
    with slot, lazily():
        return Pump(provider, slot, seconds=seconds, render=render).run()


@contextmanager
def lazily() -> Iterator[None]:
    """Let this connection's commits come back before they are on disk, where that is a choice (PostgreSQL).

    The journal knows what a killed process did, and a commit that is on disk comes before it is emptied. What a power failure
    takes with it, on both machines at once, is what SENDING_DURABILITY=strict is for.
    """
    is_lazy = connection.vendor == "postgresql" and not settings.SENDING_IS_STRICT
    if is_lazy:
        _execute("SET synchronous_commit TO OFF")
    try:
        yield
    finally:
        if is_lazy and connection.is_usable():
            _execute("RESET synchronous_commit")


@contextmanager
def durably() -> Iterator[None]:
    """Have the commit of this transaction on disk before it comes back."""
    if connection.vendor == "postgresql":
        _execute("SET LOCAL synchronous_commit TO ON")
    yield


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def more_slots(provider: EmailProvider) -> list[Slot]:
    """Take further slots: one for each further batch of bulk rows that is due."""
    bulk = claims.due().filter(provider=provider, lane="").order_by()
    most = min(slots.allowed(provider), limits.PUMP_THREADS)
    waiting = len(bulk.values_list("pk", flat=True)[: most * limits.BATCH]) if most > 1 else 0
    found = []
    for _more in range(min(most - 1, (waiting - 1) // limits.BATCH)):
        slot = slots.take(provider)
        if slot is None:
            break
        found.append(slot)
    return found


class Helper(threading.Thread):
    """A further pump of the same process, with a database connection of its own."""

    def __init__(self, provider: EmailProvider, slot: Slot, render: Render, seconds: float) -> None:
        super().__init__()
        self.work = (provider, slot, render, seconds)
        self.count = 0

    def run(self) -> None:
        """Pump, and close the thread's connection."""
        try:
            self.count = run_slot(*self.work)
        except Exception:
            log.exception("A pump of provider %s ended by an error; its rows are recovered.", self.work[0].pk)
        finally:
            connection.close()
