"""Visits of landing pages that can be believed (product.md c5).

A visit is a row from the first beacon on; a GET writes nothing. It stays "likely automated" until a trusted gesture proves a
person: mail filters open links in real browsers and start players by script, but they do not touch the page. What the page
reports is cumulative, so a beacon that is lost, doubled or late never changes the result.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from messaging.models import Delivery, DeliveryEvent, Visit
from messaging.models.visits import Verdict
from messaging.services import events
from pitch.lib import signing
from pitch.lib.fields import new_code

SEED_SECONDS = 24 * 3600  # a page left open for longer starts a new visit when it is loaded again
PLAY_SECONDS = 3  # a play counts after so many seconds that were really played (of a short video: half of it)
FASTEST = 2  # browsers' own controls go up to double speed
SLACK_SECONDS = 2  # a cell counts when it is half played, and clocks round
VISITS_PER_HOUR = 100  # of one delivery; a loop cannot fill the table
MAX_CELLS = 4 * 3600

BOTS = re.compile(
    r"bot\b|crawl|spider|slurp|preview|python-|curl/|wget/|libwww|okhttp|go-http|scanner|monitoring", re.IGNORECASE
)
DEVICES = (("tablet", re.compile("ipad|tablet", re.I)), ("phone", re.compile("mobi|iphone|android", re.I)))


@dataclass(frozen=True)
class Source:
    """What a request says about who asks. Judged at once, then forgotten: neither address nor agent is stored."""

    address: str = ""
    agent: str = ""
    purpose: str = ""
    user: User | None = None


@dataclass(frozen=True)
class Beacon:
    """What the page reports. `ranges` are seconds played so far, [from, to) in whole cells of the video."""

    sequence: int
    trusted: bool = False
    activated: bool | None = None
    visible: bool = False
    started: bool = False
    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def has_gesture(self) -> bool:
        """Whether a person did something: a trusted event, on a page that is seen, with the browser's own consent to it."""
        return self.trusted and self.visible and self.activated is not False


def new_seed(delivery: Delivery) -> str:
    """Return what a landing page carries so that its first beacon can open the visit: code, end, MAC."""
    code, expires = new_code(), int(time.time()) + SEED_SECONDS
    return f"{code}.{expires}.{signing.sign_until('visit', f'{delivery.code}|{code}', expires)}"


def read_seed(delivery: Delivery, seed: str) -> tuple[str, int] | None:
    """Return the visit's code and when the page was made (Unix time), or None if we did not make it for this delivery."""
    code, _dot, rest = seed.partition(".")
    expires, _dot, given = rest.partition(".")
    if not expires.isdecimal() or len(expires) > 12:
        return None
    if not signing.check_until("visit", f"{delivery.code}|{code}", int(expires), given):
        return None
    return code, int(expires) - SEED_SECONDS


def source_key(source: Source) -> str:
    """Return a keyed hash of address and agent (32 hex digits); its key is random, of the day, and then gone."""
    name = f"visit-key:{timezone.now():%Y-%m-%d}"
    key = cache.get(name)
    if key is None:
        cache.add(name, secrets.token_hex(32), 24 * 3600)
        key = cache.get(name) or secrets.token_hex(32)
    text = f"{source.address}\x1f{source.agent}"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def device_of(agent: str) -> str:
    """Return "phone", "tablet", "computer" or "" for a user agent: no more than that is kept."""
    return next((name for name, pattern in DEVICES if pattern.search(agent)), "computer" if agent else "")


def automated_reason(source: Source) -> str:
    """Return why this is certainly no person, or ""."""
    if "prefetch" in source.purpose or "prerender" in source.purpose:
        return "prefetch"
    return "declared_bot" if BOTS.search(source.agent) else ""


def is_own(delivery: Delivery, user: User | None) -> bool:
    """Say whether the sender, an administrator of the organization or an operator looks: that counts nowhere."""
    if user is None:
        return False
    if user.pk == delivery.message.sender_id or user.is_operator:
        return True
    return user.organization_id == delivery.organization_id and user.is_administrator


def open_visit(delivery: Delivery, code: str, source: Source) -> Visit | None:
    """Return the visit `code`, making its row on the first beacon; None when this delivery had too many within the hour."""
    visit = Visit.objects.filter(code=code, delivery=delivery).first()
    if visit is not None:
        return visit
    hour_ago = timezone.now() - timedelta(hours=1)
    if Visit.objects.filter(delivery=delivery, started_at__gt=hour_ago).count() >= VISITS_PER_HOUR:
        return None
    reason = automated_reason(source)
    own = is_own(delivery, source.user)
    visit = Visit(
        organization_id=delivery.organization_id,
        delivery=delivery,
        code=code,
        verdict=Verdict.AUTOMATED if reason else Verdict.LIKELY_AUTOMATED,
        reason="own" if own else reason or "no_gesture",
        is_sender=own,
        source_key=source_key(source),
        device=device_of(source.agent),
    )
    try:
        with transaction.atomic():
            visit.save(force_insert=True)
    except IntegrityError:  # two beacons of one page at once
        return Visit.objects.filter(code=code, delivery=delivery).first()
    if not own:
        events.record(delivery, DeliveryEvent.Kind.VISIT, visit.verdict, visit.reason, key=code, visit=visit)
    return visit


def record_beacon(delivery: Delivery, visit: Visit, beacon: Beacon, *, opened_at: int) -> Visit:
    """Take one report of the page into its visit and, when it proves a person, into the delivery.

    `opened_at` (Unix time) is when the page was made: more than twice the time since then cannot have been watched. A report with
    a sequence that is not newer than the last one changes nothing. Returns the visit as it is now.
    """
    for _attempt in range(8):
        if beacon.sequence <= visit.last_sequence:
            return visit
        before = visit.last_sequence
        _merge(visit, beacon, delivery, opened_at)
        changed = Visit.objects.filter(pk=visit.pk, last_sequence=before).update(
            verdict=visit.verdict,
            reason=visit.reason,
            coverage=visit.coverage,
            watched_seconds=visit.watched_seconds,
            last_sequence=visit.last_sequence,
            played_at=visit.played_at,
            last_seen_at=timezone.now(),
        )
        if changed:
            if not visit.is_sender:
                _tell_delivery(delivery, visit, beacon)
            return visit
        visit.refresh_from_db()  # another beacon of the same page came in between
    return visit


def _merge(visit: Visit, beacon: Beacon, delivery: Delivery, opened_at: int) -> None:
    cells = seconds_of(delivery)
    budget = int(FASTEST * max(0.0, time.time() - opened_at) + SLACK_SECONDS)
    coverage, watched = cover(bytes(visit.coverage), beacon.ranges, cells=cells, at_most=budget)
    visit.coverage, visit.watched_seconds, visit.last_sequence = coverage, watched, beacon.sequence
    if beacon.has_gesture and visit.verdict == Verdict.LIKELY_AUTOMATED and not visit.is_sender:
        visit.verdict, visit.reason = Verdict.HUMAN, "gesture"
    elif beacon.started and visit.verdict == Verdict.LIKELY_AUTOMATED and not visit.is_sender:
        visit.reason = "play_without_gesture"
    enough = min(PLAY_SECONDS, max(1, cells // 2))
    if visit.played_at is None and beacon.started and watched >= enough and visit.verdict == Verdict.HUMAN:
        visit.played_at = timezone.now()


def _tell_delivery(delivery: Delivery, visit: Visit, beacon: Beacon) -> None:
    """Carry what is proven from a visit to its delivery; every step may be repeated and runs only once."""
    kind = DeliveryEvent.Kind
    if beacon.started:
        played = visit.played_at is not None
        automated = visit.verdict == Verdict.AUTOMATED
        verdict = Verdict.HUMAN if played else Verdict.AUTOMATED if automated else Verdict.LIKELY_AUTOMATED
        reason = "gesture" if played else "too_short" if visit.verdict == Verdict.HUMAN else visit.reason
        events.record(delivery, kind.PLAY, verdict, reason, key=visit.code, visit=visit)
    if visit.verdict != Verdict.HUMAN:
        return
    now = timezone.now()
    events.raise_to_human(delivery, kind.VISIT, "gesture", key=visit.code)
    Delivery.objects.filter(pk=delivery.pk, visited_at__isnull=True).update(visited_at=now, updated_at=now)
    events.confirm_arrival(delivery, "visit")
    if visit.played_at is not None:
        events.raise_to_human(delivery, kind.PLAY, "gesture", key=visit.code)
        Delivery.objects.filter(pk=delivery.pk, played_at__isnull=True).update(
            played_at=visit.played_at, updated_at=now
        )


def seconds_of(delivery: Delivery) -> int:
    """Return how many one-second cells the delivery's video has."""
    video = delivery.message.video
    return min(MAX_CELLS, -(-(video.duration_ms or 0) // 1000)) if video is not None else 0


def cover(coverage: bytes, ranges: Iterable[tuple[int, int]], *, cells: int, at_most: int) -> tuple[bytes, int]:
    """Add played seconds to a bitmap of one-second cells (bit 0 of byte 0 is second 0).

    `ranges` are [from, to) in seconds, cut to the video's `cells`; no more than `at_most` cells are ever set. Seeking adds nothing
    and what was played twice counts once. Returns the bitmap and the number of its cells.
    """
    bits = int.from_bytes(coverage, "little")
    count = bits.bit_count()
    for start, end in ranges:
        for cell in range(max(0, start), min(cells, end)):
            if count >= at_most:
                break
            if not bits >> cell & 1:
                bits |= 1 << cell
                count += 1
    return bits.to_bytes(-(-cells // 8) or len(coverage), "little"), count
