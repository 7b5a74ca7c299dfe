"""What operators watch: the queue, the pumps, the servers and what ended badly. The admin's page and /metrics render the same.

Each number reads a partial index and stops at COUNTED, so that it costs the same with a thousand rows and with many millions.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import BooleanField, Count, F, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.formats import number_format

from accounts.models import Organization
from messaging import limits
from messaging.models import Delivery, EmailProvider, Message, ProviderLimit, PumpSlot
from messaging.services import budgets, claims, leases, slots

COUNTED = 10_000
LISTED = 200
GONE_SHOWN = timedelta(days=1)  # how long a pump that died is listed, unless another took its place
REASONS_OF = timedelta(days=7)
REASONS_READ = 5_000
# The partial index's condition, word for word, as claims.WAITS is: with parameters SQLite cannot tell that it is meant.
ENDED_BADLY = RawSQL("messaging_delivery.state IN ('bounced', 'dropped', 'error')", (), BooleanField())
PRIORITIES = {"personal": 0, "bulk": 10}

# What differs from mail to mail in a server's words: addresses, and numbers or ids of at least five digits.
PARTICULAR = re.compile(r"<?[^\s<>@]+@[^\s<>@]+>?|\b(?=\w*\d)\w{12,}\b|\d{5,}")
ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")


@dataclass(frozen=True)
class Amount:
    """A number of rows; there may be more if it is `is_least`."""

    number: int
    is_least: bool = False

    def __str__(self) -> str:
        return number_format(self.number, use_l10n=True, force_grouping=True) + ("+" if self.is_least else "")


@dataclass(frozen=True)
class Depth:
    """How many rows of one priority may go now, and how many wait for their time."""

    priority: str
    due: Amount
    later: Amount


@dataclass(frozen=True)
class Queue:
    """How much is on its way. `held` counts the waiting rows of paused messages, which are among the depths."""

    depths: tuple[Depth, ...]
    leased: Amount
    in_doubt: Amount
    paused_messages: Amount
    held: Amount


@dataclass(frozen=True)
class Pump:
    """One connection that is held, by whom, and until when without another sign of life."""

    name: str
    number: int
    host: str
    pid: str
    taken_at: datetime | None
    seen_at: datetime
    until: datetime
    is_alive: bool


@dataclass(frozen=True)
class Bucket:
    """A provider's limit: what was given to it within the span, and what it takes now."""

    amount: int
    seconds: int
    spent: int
    room: int


@dataclass(frozen=True)
class Provider:
    """Whether a provider sends, and how many connections it has, may have and could have."""

    pk: int
    code: str
    name: str
    organization: str
    is_active: bool
    stopped_at: datetime | None
    is_stop_permanent: bool
    stopped_reason: str
    retry_at: datetime | None
    throttled_until: datetime | None
    connections: int
    allowed: int
    maximum: int
    buckets: tuple[Bucket, ...]

    @property
    def state(self) -> str:
        """Return the state of its pill."""
        if not self.is_active:
            return "inactive"
        if self.stopped_at:
            return "stopped"
        return "soon" if self.throttled_until else "active"


@dataclass(frozen=True)
class Reason:
    """Why mails ended without being taken: the state, the reply code (0: not by a server), the words without what is personal."""

    state: str
    code: int
    text: str
    count: int


@dataclass(frozen=True)
class Operations:
    """All of it at one moment. `clusters` is the age of each cluster's last sign of life in seconds; None: never seen."""

    at: datetime
    queue: Queue
    pumps: tuple[Pump, ...]
    clusters: Mapping[str, float | None]
    providers: tuple[Provider, ...]
    reasons: tuple[Reason, ...]
    has_more_providers: bool
    has_more_reasons: bool


def gather(organization: Organization | None, clusters: Mapping[str, float | None]) -> Operations:
    """Return what there is to watch, of one organization or (None) of all.

    `clusters` comes from above (pitch.worker.ages): this layer knows nothing of processes. Organizations do not see it.
    """
    now = timezone.now()
    providers, has_more_providers = _providers(organization, now)
    reasons, has_more_reasons = _reasons(organization, now)
    return Operations(
        at=now,
        queue=_queue(organization, now),
        pumps=_pumps(organization, now),
        clusters=clusters if organization is None else {},
        providers=providers,
        reasons=reasons,
        has_more_providers=has_more_providers,
        has_more_reasons=has_more_reasons,
    )


def amount(rows: QuerySet[Delivery] | QuerySet[Message]) -> Amount:
    """Return how many rows there are, counting no further than COUNTED."""
    number = rows.order_by()[: COUNTED + 1].count()
    return Amount(min(number, COUNTED), number > COUNTED)


# SQLite without statistics takes the first index whose columns are named. So each query names the columns of its small partial
# index ("> 0" and the like are true of all rows), and compares the organization, whose own index is long, as an expression.
def _rows(organization: Organization | None) -> QuerySet[Delivery]:
    rows = Delivery.objects.all()
    if organization is None:
        return rows
    return rows.alias(whose=F("organization_id") + 0).filter(whose=organization.pk)


def _queue(organization: Organization | None, now: datetime) -> Queue:
    rows = _rows(organization).order_by()
    paused = Message.objects.filter(paused_at__isnull=False, status=Message.Status.SENDING)
    waiting = Delivery.objects.filter(claims.WAITS)
    doubts = Delivery.objects.filter(state=Delivery.State.IN_DOUBT, organization_id__gt=0)
    if organization is not None:
        paused = paused.filter(organization=organization)
        doubts = doubts.filter(organization=organization)
        waiting = waiting.filter(organization=organization)
        # The index begins with the provider; these are the few an organization's mail can go through.
        own = EmailProvider.objects.filter(Q(organization=organization) | Q(organization__isnull=True))
        waiting = waiting.filter(provider__in=list(own.values_list("pk", flat=True)))
    depths = tuple(
        Depth(
            name,
            due=amount(waiting.filter(priority=priority, next_at__lte=now)),
            later=amount(waiting.filter(priority=priority, next_at__gt=now)),
        )
        for name, priority in PRIORITIES.items()
    )
    messages = list(paused.values_list("pk", flat=True)[:LISTED])
    return Queue(
        depths=depths,
        leased=amount(rows.filter(state=Delivery.State.LEASED, lease__gt="")),
        in_doubt=amount(doubts),
        paused_messages=amount(paused),
        held=amount(Delivery.objects.filter(message__in=messages, state__in=Delivery.WAITING)),
    )


def _pumps(organization: Organization | None, now: datetime) -> tuple[Pump, ...]:
    rows = PumpSlot.objects.filter(until__gte=now - GONE_SHOWN).select_related("provider")
    if organization is not None:
        rows = rows.filter(provider__organization=organization)
    found = []
    for slot in rows.defer("provider__password").order_by("-until")[:LISTED]:
        assert slot.until is not None
        host, pid, *_rest = [*slot.holder.split("|"), ""]
        found.append(
            Pump(
                name=str(slot.provider),
                number=slot.number,
                host=host,
                pid=pid,
                taken_at=slot.taken_at,
                seen_at=slot.until - limits.SLOT,
                until=slot.until,
                is_alive=slot.until >= now and not leases.is_dead(slot.holder),
            )
        )
    return tuple(found)


def _providers(organization: Organization | None, now: datetime) -> tuple[tuple[Provider, ...], bool]:
    rows = EmailProvider.objects.select_related("organization").defer("password", "ca_bundle")
    if organization is not None:
        rows = rows.filter(organization=organization)
    held = Count("slots", filter=Q(slots__until__gte=now))
    # What stands still first.
    order = (F("is_active").desc(), F("stopped_at").asc(nulls_last=True), "pk")
    found = list(rows.annotate(held=held).prefetch_related("limits").order_by(*order)[: LISTED + 1])
    moment = now.timestamp()
    return tuple(
        Provider(
            pk=row.pk,
            code=row.code,
            name=str(row),
            organization=row.organization.slug if row.organization else "",
            is_active=row.is_active,
            stopped_at=row.stopped_at,
            is_stop_permanent=row.is_stop_permanent,
            stopped_reason=row.stopped_reason,
            retry_at=row.retry_at,
            throttled_until=row.throttled_until if row.throttled_until and row.throttled_until > now else None,
            connections=row.held,
            allowed=slots.allowed(row),
            maximum=row.max_connections,
            buckets=_buckets(row.limits.all(), moment),
        )
        for row in found[:LISTED]
    ), len(found) > LISTED


def _buckets(rows: Iterable[ProviderLimit], moment: float) -> tuple[Bucket, ...]:
    return tuple(
        Bucket(row.amount, row.seconds, sum(budgets.spent(row, moment).values()), budgets.room(row, moment))
        for row in sorted(rows, key=lambda row: row.seconds)
    )


def _reasons(organization: Organization | None, now: datetime) -> tuple[tuple[Reason, ...], bool]:
    """Return the most frequent reasons of the last days, out of the latest REASONS_READ mails that ended badly."""
    rows = _rows(organization).filter(ENDED_BADLY, finished_at__gte=now - REASONS_OF)
    columns = rows.order_by("-finished_at").values_list("state", "reply_code", "reply_text", "error_description")
    read = list(columns[: REASONS_READ + 1])
    counts = Counter((state, code or 0, general(said or own)) for state, code, said, own in read[:REASONS_READ])
    return tuple(Reason(*key, count) for key, count in counts.most_common()), len(read) > REASONS_READ


def general(text: str) -> str:
    """Return a server's words without what belongs to one mail: addresses and long numbers become "…"."""
    return PARTICULAR.sub("…", text).strip()


def reply_class(reason: Reason) -> str:
    """Return the class of a reason, such as "5.1.1", "550", or "none" if no server said it: few enough to be a label."""
    found = ENHANCED.match(reason.text)
    return found[0] if found else str(reason.code or "none")
