"""What an administrator sees first: four numbers of today, and what has stopped, in words, with the way to it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Organization
from messaging.models import Delivery, EmailProvider
from messaging.services import telling
from videos.models import Video

REFUSED = (Delivery.State.BOUNCED, Delivery.State.DROPPED, Delivery.State.ERROR)


@dataclass(frozen=True)
class Numbers:
    """Counts of one organization, or of all."""

    accepted_today: int
    waiting: int
    oldest_waits_since: datetime | None
    refused_today: int
    watched_today: int


@dataclass(frozen=True)
class Finding:
    """One line of the health list: a state of the pill ("good", "soon", "stopped", "in_doubt"), a sentence, and where to go."""

    state: str
    sentence: str
    url: str = ""


def _deliveries(organization: Organization | None) -> QuerySet[Delivery]:
    rows = Delivery.objects.order_by()
    return rows if organization is None else rows.filter(organization=organization)


def numbers(organization: Organization | None) -> Numbers:
    """Return the four numbers; None counts all organizations. Each reads one partial index, never the whole table."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = _deliveries(organization)
    waiting = rows.filter(state__in=Delivery.WAITING).aggregate(count=Count("pk"), oldest=Min("created_at"))
    return Numbers(
        accepted_today=rows.filter(accepted_at__gte=midnight).count(),
        waiting=waiting["count"],
        oldest_waits_since=waiting["oldest"],
        refused_today=rows.filter(state__in=REFUSED, finished_at__gte=midnight).count(),
        watched_today=rows.filter(played_at__gte=midnight, message__is_test=False).count(),
    )


def findings(organization: Organization | None) -> list[Finding]:
    """Return what needs attention, worst first; one "good" line when nothing does."""
    found = [
        *_stopped(organization),
        *_refused_senders(organization),
        *_missing(organization),
        *_undecided(organization),
        *_failed_videos(organization),
    ]
    return found or [Finding("good", _("Everything that was sent went its way."))]


def _stopped(organization: Organization | None) -> list[Finding]:
    rows = EmailProvider.objects.filter(is_active=True, stopped_at__isnull=False)
    if organization is not None:
        rows = rows.filter(organization=organization)
    return [
        Finding(
            "stopped",
            _("SMTP “%(name)s” has stopped: %(reason)s") % {"name": row, "reason": row.stopped_reason},
            reverse("admin:messaging_emailprovider_change", args=[row.pk]),
        )
        for row in rows.order_by("stopped_at")[:10]
    ]


def _refused_senders(organization: Organization | None) -> list[Finding]:
    count = telling.refused_messages(organization).count()
    text = ngettext(
        "%d message is paused: the mail server refuses its sender.",
        "%d messages are paused: the mail server refuses their senders.",
        count,
    )
    return [Finding("stopped", text % count, telling.paused_path())] if count else []


def _missing(organization: Organization | None) -> list[Finding]:
    shared = EmailProvider.objects.filter(organization__isnull=True, is_active=True).exists()
    if shared:
        return []
    rows = Organization.objects.filter(is_active=True).exclude(email_providers__is_active=True)
    if organization is not None:
        rows = rows.filter(pk=organization.pk)
    return [
        Finding(
            "stopped",
            _("%(name)s has no SMTP settings: nothing can be sent.") % {"name": name},
            reverse("admin:messaging_emailprovider_add") + f"?organization={pk}",
        )
        for pk, name in rows.values_list("pk", "name")[:10]
    ]


def _undecided(organization: Organization | None) -> list[Finding]:
    rows = _deliveries(organization)
    address = reverse("admin:messaging_delivery_changelist")
    found = []
    doubts = rows.filter(state=Delivery.State.IN_DOUBT).count()
    if doubts:
        text = ngettext(
            "%d mail is in doubt: the connection broke after it was handed over. It is never sent twice by itself.",
            "%d mails are in doubt: the connection broke after they were handed over. None is sent twice by itself.",
            doubts,
        )
        found.append(Finding("in_doubt", text % doubts, f"{address}?state__exact=in_doubt"))
    # Both conditions: the first is what the partial index is made for.
    deferred = rows.filter(state__in=Delivery.WAITING).filter(state=Delivery.State.DEFERRED).count()
    if deferred:
        text = ngettext(
            "%d mail is tried again: the mail server said “later”.",
            "%d mails are tried again: the mail server said “later”.",
            deferred,
        )
        found.append(Finding("soon", text % deferred, f"{address}?state__exact=deferred"))
    return found


def _failed_videos(organization: Organization | None) -> list[Finding]:
    week_ago = timezone.now() - timedelta(days=7)
    rows = Video.objects.kept().filter(state=Video.State.FAILED, updated_at__gte=week_ago)
    if organization is not None:
        rows = rows.filter(organization=organization)
    count = rows.count()
    text = ngettext("%d video could not be converted this week.", "%d videos could not be converted this week.", count)
    return [Finding("soon", text % count, "admin:videos_video_changelist")] if count else []
