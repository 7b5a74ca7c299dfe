"""Telling administrators of what stands still until a person acts: one mail for each stop, through a server that works.

The row says so before the mail goes out, so that neither a second worker nor a killed one makes it two. These mails are no
deliveries: one that fails stops no server, and nothing can go round in circles. The first page of the administration tells it, too.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Organization, User
from accounts.services.hosts import base_url
from messaging.models import EmailProvider, Message
from messaging.services import providers
from messaging.system_mail import MailInDoubt, MailNotSent
from pitch.lib.queue import wake

log = logging.getLogger(__name__)

# A server that only cannot be reached is told of when that lasts; one that comes and goes is not told of again and again.
LASTS = providers.GIVES_UP_AFTER
QUIET = timedelta(hours=1)
AT_ONCE = 100


def recover() -> bool:
    """Wake the worker if there is a stop nobody was told of (called by the clock); returns whether there is one."""
    waits = stopped_providers().exists() or paused_messages().exists()
    if waits:
        wake("messaging.tasks.tell")
    return waits


def untold(since: str, now: datetime) -> Q:
    """Return the condition that nobody was told of what began at the column `since`, nor of anything in the last hour."""
    return Q(told_at__isnull=True) | Q(told_at__lt=F(since)) & Q(told_at__lt=now - QUIET)


def stopped_providers() -> QuerySet[EmailProvider]:
    """Return the stopped providers that administrators have to be told of."""
    now = timezone.now()
    matters = Q(is_stop_permanent=True) | Q(stopped_at__lte=now - LASTS)
    rows = EmailProvider.objects.filter(matters, untold("stopped_at", now), is_active=True, stopped_at__isnull=False)
    return rows.exclude(organization__is_active=False)


def refused_messages(organization: Organization | None = None) -> QuerySet[Message]:
    """Return the messages that are paused because a server refuses their sender."""
    rows = Message.objects.filter(
        paused_at__isnull=False, status=Message.Status.SENDING, error_enum="senderRefused", organization__is_active=True
    )
    return rows if organization is None else rows.filter(organization=organization)


def paused_messages() -> QuerySet[Message]:
    """Return those of them that administrators have to be told of."""
    return refused_messages().filter(untold("paused_at", timezone.now()))


def tell() -> int:
    """Mail the administrators about everything they were not told of; returns how many mails went out."""
    count = 0
    for provider in stopped_providers().select_related("organization").order_by("stopped_at")[:AT_ONCE]:
        count += tell_of_provider(provider)
    rows = paused_messages().select_related("organization").order_by("organization_id", "paused_at")[:AT_ONCE]
    for organization, messages in groupby(rows, key=lambda message: message.organization):
        count += tell_of_messages(organization, list(messages))
    return count


def tell_of_provider(provider: EmailProvider) -> int:
    """Tell of a provider that stopped; returns how many mails went out. Waits if no other server works."""
    ways = working(provider.organization, but=provider)
    if not ways or not take(EmailProvider.objects.filter(pk=provider.pk, stopped_at=provider.stopped_at), "stopped_at"):
        return 0
    words = {
        "headline": _("The mail server “%(name)s” has stopped.") % {"name": provider},
        "reasons": [provider.stopped_reason],
        "explanation": _("Mails wait until it works again; none of their tries is used up."),
        "path": reverse("admin:messaging_emailprovider_change", args=[provider.pk]),
    }
    return mail(provider.organization, ways, _("Pitch: a mail server has stopped"), words)


def tell_of_messages(organization: Organization, messages: Sequence[Message]) -> int:
    """Tell of messages whose sender a server refuses, in one mail; returns how many mails went out."""
    ways = working(organization)
    mine = Message.objects.filter(pk__in=[message.pk for message in messages], paused_at__isnull=False)
    taken = take(mine, "paused_at") if ways else 0
    if not taken:
        return 0
    words = {
        "headline": ngettext(
            "%d message is paused: the mail server refuses its sender.",
            "%d messages are paused: the mail server refuses their senders.",
            taken,
        )
        % taken,
        "reasons": sorted({message.error_description for message in messages})[:5],
        "explanation": _("The rest of the organization's mail goes on. Resume a message when its sender may send."),
        "path": paused_path(),
    }
    return mail(organization, ways, _("Pitch: a sender is refused"), words)


def paused_path() -> str:
    """Return the path of the administration's list of messages that are paused because of their sender."""
    return reverse("admin:messaging_message_changelist") + "?error_enum__exact=senderRefused"


def take(rows: QuerySet[EmailProvider] | QuerySet[Message], since: str) -> int:
    """Write down that administrators are told now; returns of how many rows: those that nobody else took meanwhile."""
    now = timezone.now()
    with transaction.atomic():
        return rows.filter(untold(since, now)).update(told_at=now)


def working(organization: Organization | None, but: EmailProvider | None = None) -> list[EmailProvider]:
    """Return the servers a mail to the administrators may go through: the own ones first, then the shared one.

    What concerns the shared one goes through an organization's only where there is no other organization: its server is no
    business of the operator's, and the operator's none of its.
    """
    owners = Q(organization__isnull=True)
    if organization is not None:
        owners |= Q(organization=organization)
    else:
        active = list(Organization.objects.filter(is_active=True)[:2])
        owners |= Q(organization__in=active if len(active) == 1 else [])
    rows = EmailProvider.objects.filter(owners, is_active=True, stopped_at__isnull=True)
    if but is not None:
        rows = rows.exclude(pk=but.pk)
    return sorted(rows, key=lambda row: (row.organization_id is None, not row.is_default, row.pk))


def administrators(organization: Organization | None) -> list[User]:
    """Return whom to tell: the organization's administrators; the operators if it has none, or for the shared server."""
    people = User.objects.filter(is_active=True).order_by("pk")
    if organization is not None:
        own = list(people.filter(organization=organization, role=User.Role.ADMINISTRATOR))
        if own:
            return own
    return list(people.filter(organization__isnull=True, is_superuser=True))


def mail(
    organization: Organization | None, ways: Iterable[EmailProvider], subject: str, words: Mapping[str, object]
) -> int:
    """Mail each administrator once, through the first way that takes it; returns how many mails went out."""
    count = 0
    for person in administrators(organization):
        context = {**words, "person": person, "link": base_url(person.organization) + str(words["path"])}
        for way in ways:
            message = EmailMultiAlternatives(
                subject,
                render_to_string("messaging/email/stop.txt", context),
                settings.DEFAULT_FROM_EMAIL,
                [person.email],
            )
            message.attach_alternative(render_to_string("messaging/email/stop.html", context), "text/html")
            message.provider = way  # type: ignore[attr-defined]  # not the organization's usual one: that may be what stopped
            try:
                count += message.send()
            except MailInDoubt:
                break  # it may have arrived; a second one would be worse than none
            except MailNotSent as err:
                log.warning("User %s could not be told of a stop through provider %s: %s", person.pk, way.pk, err)
            else:
                break
    return count
