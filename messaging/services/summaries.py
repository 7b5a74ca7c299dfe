"""Numbers of messages for pages: bounded queries, people instead of hits."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.models import Delivery, Message

State = Delivery.State


@dataclass(frozen=True)
class Summary:
    """Counts of one message's deliveries; `watched` and `visited` count people, never automated hits."""

    total: int = 0
    waiting: int = 0
    accepted: int = 0
    refused: int = 0
    skipped: int = 0
    canceled: int = 0
    in_doubt: int = 0
    visited: int = 0
    watched: int = 0
    names: tuple[str, ...] = ()
    is_paused: bool = False

    @property
    def out(self) -> int:
        """How many rows are done with, whatever became of them."""
        return self.total - self.waiting

    @property
    def people(self) -> str:
        """Who it went to, in a few words: "Anna Torvald, Kofi Asante and 2 more"."""
        shown = ", ".join(self.names[:2])
        more = self.total - min(2, len(self.names))
        if more <= 0:
            return shown
        return _("%(names)s and %(count)d more") % {"names": shown, "count": more}

    @property
    def watched_words(self) -> str:
        """How many watched, as a sentence."""
        words = ngettext(
            "%(watched)d of %(total)d person watched", "%(watched)d of %(total)d people watched", self.total
        )
        return words % {"watched": self.watched, "total": self.total}

    @property
    def state(self) -> tuple[str, str]:
        """The one state worth showing in a list: (state for the pill, words)."""
        if self.waiting and self.is_paused:
            return "queued", _("Paused, %(out)d of %(total)d") % {"out": self.out, "total": self.total}
        if self.waiting:
            return "sending", _("Sending, %(out)d of %(total)d") % {"out": self.out, "total": self.total}
        if self.in_doubt:
            return "in_doubt", _("%(count)d in doubt") % {"count": self.in_doubt}
        if self.refused:
            return "bounced", _("%(count)d refused") % {"count": self.refused}
        if self.total and self.canceled == self.total:
            return "canceled", _("Canceled")
        if self.watched:
            return "watched", _("Watched")
        if self.accepted:
            return "accepted", _("Accepted")
        return "skipped", _("Links only")


def summarize(messages: Iterable[Message]) -> dict[int, Summary]:
    """Return a summary for each message (by primary key) in two queries."""
    messages = list(messages)
    keys = [message.pk for message in messages]
    paused = {message.pk for message in messages if message.paused_at is not None}
    counts = (
        Delivery.objects.filter(message_id__in=keys)
        .values("message_id")
        .annotate(
            total=Count("id"),
            waiting=Count("id", filter=Q(state__in=Delivery.OPEN)),
            accepted=Count("id", filter=Q(state__in=[State.ACCEPTED, State.DELIVERED])),
            refused=Count("id", filter=Q(state__in=[State.BOUNCED, State.DROPPED, State.ERROR])),
            skipped=Count("id", filter=Q(state=State.SKIPPED)),
            canceled=Count("id", filter=Q(state=State.CANCELED)),
            in_doubt=Count("id", filter=Q(state=State.IN_DOUBT)),
            visited=Count("id", filter=Q(visited_at__isnull=False)),
            watched=Count("id", filter=Q(played_at__isnull=False)),
        )
    )
    names: dict[int, list[str]] = {}
    firsts = Delivery.objects.filter(message_id__in=keys, position__lt=2).order_by("message_id", "position")
    for message_id, name, address in firsts.values_list("message_id", "name", "address"):
        names.setdefault(message_id, []).append(name or address)
    found = {key: Summary() for key in keys}
    for row in counts:
        numbers: Any = {name: value for name, value in row.items() if name != "message_id"}
        key = row["message_id"]
        found[key] = Summary(**numbers, names=tuple(names.get(key, ())), is_paused=key in paused)
    return found


@dataclass(frozen=True)
class Fate:
    """What became of a test mail so far. `said` is empty while there is nothing to say that was not said at the start."""

    ended: bool
    is_good: bool
    said: str


def fate_of_test(delivery: Delivery) -> Fate:
    """Return what became of a test mail, in words for the one who sent it to themselves."""
    reply = f"{delivery.reply_code or ''} {delivery.reply_text}".strip()
    why = _("“%(reply)s”") % {"reply": reply} if reply else delivery.error_description
    values = {"address": delivery.address, "why": why}
    match delivery.state:
        case State.ACCEPTED | State.DELIVERED:
            said = _("The test to %(address)s was accepted by the mail server.") % values
            return Fate(True, True, said)
        case State.DEFERRED:
            values["at"] = time_format(timezone.localtime(delivery.next_at), "H:i")
            said = (
                _("The mail server does not take the test to %(address)s yet: %(why)s Trying again at %(at)s.") % values
            )
            return Fate(False, False, said)
        case State.IN_DOUBT:
            said = _("Nobody knows whether the test to %(address)s arrived. %(why)s")
            return Fate(True, False, said % {**values, "why": delivery.error_description})
        case state if state not in Delivery.OPEN:
            return Fate(True, False, _("The test to %(address)s was not sent: %(why)s") % values)
    provider = delivery.provider
    if provider is not None and provider.stopped_at is not None:
        values["why"] = provider.stopped_reason
        return Fate(False, False, _("The test to %(address)s waits for your mail server: %(why)s") % values)
    return Fate(False, True, "")
