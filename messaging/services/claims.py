"""Claims: which rows a pump may send now. The rows are the queue (design.md §5.1)."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db import IntegrityError, connection, transaction
from django.db.models import BooleanField, Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import limits
from messaging.models import Delivery, EmailProvider, Message
from messaging.services import providers, suppressions

# What a pump reads of a row: a delivery has many columns, and a bulk has many rows.
COLUMNS = (
    "organization_id", "message_id", "code", "kind", "name", "address", "address_key", "state", "lane", "priority", "position",
    "provider_id", "attempts", "next_at", "lease", "in_flight_at", "internet_message_id", "date",
)  # fmt: skip


# The condition of the partial indexes, word for word: SQLite cannot see that one with parameters means the same. Without the
# table's name, so that it holds in subqueries, too; no table that these queries join has a column of this name.
WAITS = RawSQL("state IN ('queued', 'deferred')", (), BooleanField())


def open_messages(now: datetime) -> Q:
    """Return the condition on a row's message that its mails may go out now."""
    return Q(
        Q(message__send_after__isnull=True) | Q(message__send_after__lte=now),
        message__status=Message.Status.SENDING,
        message__paused_at__isnull=True,
        message__canceled_at__isnull=True,
        organization__is_active=True,
    )


def due(now: datetime | None = None) -> QuerySet[Delivery]:
    """Return the rows that may be claimed now, most urgent first, in the order they were given."""
    now = now or timezone.now()
    busy = Delivery.objects.filter(lane=OuterRef("lane"), state=Delivery.State.LEASED).exclude(lane="")
    return (
        Delivery.objects.filter(WAITS, next_at__lte=now)
        .filter(open_messages(now))
        .filter(Q(lane="") | ~Exists(busy))
        .order_by("priority", "next_at", "position", "id")
    )


def ahead(provider: EmailProvider, priority: int, moment: datetime) -> int:
    """Return how many mails of the same or a higher urgency go through a provider before one that is due at `moment`."""
    return Delivery.objects.filter(
        provider=provider,
        priority__lte=priority,
        state__in=Delivery.OPEN,
        next_at__lte=moment,
        message__status=Message.Status.SENDING,
        message__paused_at__isnull=True,
        message__canceled_at__isnull=True,
    ).count()


def waiting_providers() -> list[EmailProvider]:
    """Return the providers that have rows to send now and may be tried."""
    rows = due().filter(provider=OuterRef("pk")).order_by()
    return list(EmailProvider.objects.filter(providers.usable(), Exists(rows)).order_by("pk"))


def adopt() -> int:
    """Give rows whose provider was deleted to the one their organization uses now; returns how many were settled or moved."""
    count = 0
    lost = due().filter(provider__isnull=True).order_by().select_related("organization", "message__app")[: limits.BATCH]
    for row in lost:
        provider = providers.resolve(row.organization, row.message.app)
        mine = Delivery.objects.filter(pk=row.pk, state__in=Delivery.WAITING, provider__isnull=True)
        if provider is not None:
            count += mine.update(provider=provider)
        else:
            count += mine.update(
                state=Delivery.State.ERROR,
                error_description=_("No mail server is set up any more."),
                finished_at=timezone.now(),
            )
    return count


def claim_lanes(provider: EmailProvider, lease: str, wanted: int) -> list[Delivery]:
    """Lease up to `wanted` rows of personal mails, one of each lane: a message's mails go strictly one after another (R379)."""
    claimed: list[int] = []
    lanes: set[str] = set()
    for pk, lane in due().filter(provider=provider).exclude(lane="").values_list("pk", "lane")[: 10 * wanted]:
        if lane in lanes:
            continue
        lanes.add(lane)
        try:
            with transaction.atomic():
                if lock([pk], lease):
                    claimed.append(pk)
        except IntegrityError:
            continue  # the lane is taken: another pump was quicker
        if len(claimed) == wanted:
            break
    return load(claimed)


CLAIM = """
WITH due AS MATERIALIZED (
    SELECT delivery.id AS due_id
    FROM messaging_delivery AS delivery JOIN messaging_message AS message ON message.id = delivery.message_id
    WHERE delivery.provider_id = %s AND delivery.organization_id = %s
        AND delivery.state IN ('queued', 'deferred') AND delivery.lane = '' AND delivery.next_at <= %s
        AND message.status = 'sending' AND message.paused_at IS NULL AND message.canceled_at IS NULL
        AND (message.send_after IS NULL OR message.send_after <= %s)
    ORDER BY delivery.priority, delivery.next_at, delivery.position, delivery.id
    LIMIT %s {lock}
)
UPDATE messaging_delivery
SET state = 'leased', lease = %s, lease_until = %s, in_flight_at = NULL, updated_at = %s
FROM due WHERE id = due_id AND state IN ('queued', 'deferred')
RETURNING {columns}
"""


def claim_batch(provider: EmailProvider, lease: str, wanted: int, organization_id: int) -> list[Delivery]:
    """Lease up to `wanted` rows without a lane of one organization, most urgent first; their messages are not read yet.

    By one statement that finds, locks and gives them back: three of them took longer than sending the mails.
    """
    now = timezone.now()
    statement = CLAIM.format(
        lock="FOR UPDATE OF delivery SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else "",
        columns=", ".join(["id", *COLUMNS]),
    )
    moments = [connection.ops.adapt_datetimefield_value(moment) for moment in (now, now + limits.LEASE)]
    values = [provider.pk, organization_id, moments[0], moments[0], wanted, lease, moments[1], moments[0]]
    with transaction.atomic():
        rows = list(Delivery.objects.raw(statement, values))
    return sorted(rows, key=lambda row: (row.priority, row.next_at, row.position, row.pk))


def organizations_waiting(provider: EmailProvider) -> list[int]:
    """Return the organizations that have bulk rows to send through a provider now."""
    now = timezone.now()
    sending = Message.objects.filter(
        status=Message.Status.SENDING, paused_at__isnull=True, canceled_at__isnull=True, organization__is_active=True
    )
    waits = Delivery.objects.filter(
        WAITS, provider=provider, organization=OuterRef("organization"), next_at__lte=now, lane=""
    )
    found = sending.filter(Exists(waits)).order_by("organization_id").values_list("organization_id", flat=True)
    return list(found.distinct())


def lock(pks: Sequence[int], lease: str) -> int:
    """Lease the rows that still wait; returns how many."""
    now = timezone.now()
    return Delivery.objects.filter(pk__in=pks, state__in=Delivery.WAITING).update(
        state=Delivery.State.LEASED, lease=lease, lease_until=now + limits.LEASE, in_flight_at=None, updated_at=now
    )


def load(pks: Collection[int]) -> list[Delivery]:
    """Return rows in the order of `pks`, each with its message."""
    if not pks:
        return []
    rows = {row.pk: row for row in Delivery.objects.filter(pk__in=pks).only(*COLUMNS)}
    attach(rows.values(), {})
    return [rows[pk] for pk in pks if pk in rows]


def attach(rows: Collection[Delivery], known: dict[int, Message]) -> None:
    """Give rows their messages, whose relations are read once for all of them and kept in `known`.

    A message that is being sent does not change any more, apart from what the statements here ask the database for each time.
    """
    wanted = {row.message_id for row in rows} - known.keys()
    if wanted:
        known.update(Message.objects.select_related("organization", "sender", "video").in_bulk(wanted))
    to_message, to_organization = Delivery._meta.get_field("message"), Delivery._meta.get_field("organization")
    for row in rows:
        message = known[row.message_id]
        to_message.set_cached_value(row, message)
        to_organization.set_cached_value(row, message.organization)


PUT_IN_FLIGHT = """
UPDATE messaging_delivery SET in_flight_at = %s
WHERE id IN ({places}) AND state = 'leased' AND lease = %s
  AND message_id IN (SELECT id FROM messaging_message WHERE id IN ({messages}) AND status = 'sending'
    AND paused_at IS NULL AND canceled_at IS NULL AND (send_after IS NULL OR send_after <= %s))
"""


def put_in_flight(rows: Sequence[Delivery], lease: str) -> list[Delivery]:
    """Say that these rows may go out now, and return those of them that may: still ours, not canceled, not paused.

    Written by hand because it runs before every window, and building the statement would take as long as the mails.
    """
    if not rows:
        return []
    now = timezone.now()
    moment = connection.ops.adapt_datetimefield_value(now)
    messages = {row.message_id for row in rows}
    statement = PUT_IN_FLIGHT.format(places=_places(rows), messages=_places(messages))
    values = [moment, *(row.pk for row in rows), lease, *messages, moment]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        if cursor.rowcount == len(rows):
            return list(rows)
    mine = Delivery.objects.filter(pk__in=[row.pk for row in rows], lease=lease, in_flight_at=now)
    kept = set(mine.values_list("pk", flat=True))
    return [row for row in rows if row.pk in kept]


def _places(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def obstacles(rows: Iterable[Delivery]) -> dict[int, tuple[str, str]]:
    """Return (error code, sentence) for the rows whose address must not get the mail; asked at the claim, not at writing."""
    now = timezone.now()
    found: dict[int, tuple[str, str]] = {}
    asked = []
    for row in rows:
        if row.message.expires_at is not None and row.message.expires_at <= now:
            found[row.pk] = ("expired", _("The message was not to be sent after its end."))
        elif not row.message.is_test:
            asked.append(row)
    bars = suppressions.standing({row.organization_id for row in asked}, {row.address_key for row in asked})
    for row in asked:
        bar = bars.get((row.organization_id, row.address_key))
        if bar is not None:
            found[row.pk] = (bar.code, bar.words())
    return found
