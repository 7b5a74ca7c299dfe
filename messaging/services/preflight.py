"""Preflight: what a message would meet if it were sent now. Advice only: what may be sent is said by composing.check."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import ngettext

from accounts.models import Organization
from messaging.models import EmailProvider, ProviderLimit
from messaging.services import budgets, claims, suppressions
from messaging.services.recipients import ParsedAddress

ASKED_AT_ONCE = 500
WORTH_SAYING = timedelta(minutes=1)


@dataclass(frozen=True)
class Skipped:
    """Somebody who would get no mail: the API's `code` and a sentence that names the person."""

    name: str
    address: str
    code: str
    sentence: str


@dataclass(frozen=True)
class Preflight:
    """What is known before sending.

    `mails` would go out, `ahead` of them wait others of the same urgency. `stopped` is why the mail server takes nothing now.
    `limits` are all of its limits in words, `limit` the one that decides; `takes` counts from Send on and is zero if no limit
    makes anybody wait.
    """

    mails: int
    skipped: tuple[Skipped, ...] = ()
    stopped: str = ""
    limits: tuple[str, ...] = ()
    limit: str = ""
    ahead: int = 0
    takes: timedelta = timedelta()

    @property
    def finish(self) -> str:
        """How long it takes, in words; empty if it is too short to speak of."""
        return duration_words(self.takes) if self.takes >= WORTH_SAYING else ""

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing that a sender would want to know."""
        return not (self.skipped or self.stopped or self.finish)


def advise(
    rows: Sequence[ParsedAddress],
    organization: Organization,
    provider: EmailProvider | None,
    *,
    priority: int = 0,
    delay: timedelta = timedelta(),
) -> Preflight:
    """Return what mails to `rows` would meet.

    Args:
        rows: Whom they are for; addresses that are none are left to composing.check, one that comes twice counts once.
        organization: Whose mails they are.
        provider: Where they go through; None if there is none yet.
        priority: 0 for personal mail, 10 for bulk (Delivery.priority).
        delay: What passes before the first may leave (the undo time).

    Returns:
        The advice; nothing is changed.
    """
    people = {row.key: row for row in rows if not row.problem}
    skipped = tuple(skipped_of(people, organization))
    mails = len(people) - len(skipped)
    if provider is None:
        return Preflight(mails, skipped)
    found = list(ProviderLimit.objects.filter(provider=provider).order_by("seconds"))
    begins = timezone.now() + delay
    ahead = claims.ahead(provider, priority, begins) if found and mails else 0
    wait, decisive = longest_wait(found, mails + ahead if mails else 0, begins)
    return Preflight(
        mails,
        skipped,
        stopped=provider.stopped_reason if provider.stopped_at is not None else "",
        limits=tuple(limit_words(limit) for limit in found),
        limit=limit_words(decisive) if decisive is not None else "",
        ahead=ahead,
        takes=delay + wait if wait else timedelta(),
    )


def skipped_of(people: dict[str, ParsedAddress], organization: Organization) -> list[Skipped]:
    """Return those of `people` (by address key) that would get no mail, in their order."""
    found = []
    keys = list(people)
    for at in range(0, len(keys), ASKED_AT_ONCE):
        some = keys[at : at + ASKED_AT_ONCE]
        bars = suppressions.standing([organization.pk], some)
        for key in some:
            bar, row = bars.get((organization.pk, key)), people[key]
            if bar is not None:
                found.append(Skipped(row.name, row.address, bar.code, bar.words(row.name or row.address)))
    return found


def longest_wait(found: list[ProviderLimit], count: int, begins: datetime) -> tuple[timedelta, ProviderLimit | None]:
    """Return how long `count` mails take under limits, and which of them makes it last so long."""
    waits = [(budgets.finish_time([limit], count, begins), limit) for limit in found]
    wait, decisive = max(waits, key=lambda pair: pair[0], default=(timedelta(), None))
    return wait, decisive if wait else None


def limit_words(limit: ProviderLimit) -> str:
    """Return a limit as people say it: "30 mails a minute"."""
    spans = ProviderLimit.Span
    words = {
        spans.SECOND: ngettext("%(count)d mail a second", "%(count)d mails a second", limit.amount),
        spans.MINUTE: ngettext("%(count)d mail a minute", "%(count)d mails a minute", limit.amount),
        spans.HOUR: ngettext("%(count)d mail an hour", "%(count)d mails an hour", limit.amount),
        spans.DAY: ngettext("%(count)d mail a day", "%(count)d mails a day", limit.amount),
    }
    return words[spans(limit.seconds)] % {"count": limit.amount}


def duration_words(length: timedelta) -> str:
    """Return a length of time rather too long than too short, in words that promise no more than is known: "about 2 minutes"."""
    seconds = length.total_seconds()
    minutes = math.ceil(seconds / 60)
    if minutes < 100:
        return ngettext("about %d minute", "about %d minutes", minutes) % minutes
    # A tenth more than two hours is about two hours.
    hours = math.ceil(seconds / 3600 - 0.1)
    if hours < 48:
        return ngettext("about %d hour", "about %d hours", hours) % hours
    days = math.ceil(seconds / 86400 - 0.1)
    return ngettext("about %d day", "about %d days", days) % days
