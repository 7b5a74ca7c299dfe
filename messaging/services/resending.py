"""Trying again: what was refused, one address that was wrong, and mails of which nobody knows whether they arrived."""

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.services import audit
from messaging.models import Delivery, Message
from messaging.services import providers, results
from pitch.lib.emails import address_key, normalize
from pitch.lib.queue import wake

# A full mailbox, a policy, too many tries: the same address may take it now. One that does not exist is suppressed and stays so.
REFUSED = (Delivery.State.BOUNCED, Delivery.State.DROPPED, Delivery.State.ERROR)


class CannotResend(Exception):
    """It cannot be sent again like this; the message is a sentence."""


def refused(message: Message) -> QuerySet[Delivery]:
    """Return the rows of a message that ended without being taken and may be tried again as they are.

    Not those whose mail went to a corrected address since.
    """
    suppressed = message.organization.suppressions.filter(lifted_at__isnull=True).values("address_key")
    ended = Delivery.objects.filter(message=message, state__in=REFUSED, link_revoked_at__isnull=True)
    return ended.exclude(address_key__in=suppressed)


def can_correct(delivery: Delivery) -> bool:
    """Say whether another address may help: the mail was refused, or the address is known not to work."""
    is_dead = delivery.state == Delivery.State.SKIPPED and delivery.error_enum == "suppressed"
    return (delivery.state in REFUSED or is_dead) and delivery.link_revoked_at is None


def requeue(rows: QuerySet[Delivery]) -> int:
    """Let ended rows wait again, as a new series of tries with the same Message-ID; returns how many.

    Their message is sending again.
    """
    now = timezone.now()
    with transaction.atomic():
        messages = set(rows.values_list("message_id", flat=True))
        count = rows.update(
            state=Delivery.State.QUEUED, attempts=0, next_at=now, date=now, finished_at=None, in_flight_at=None, lease="",
            reply_code=None, reply_text="", error_enum="", error_description="", updated_at=now,
        )  # fmt: skip
        reopen(messages)
    if count:
        wake("messaging.tasks.pump", cluster="send")
    return count


def reopen(messages: Collection[int]) -> None:
    """Let messages send again. A pause goes with what had ended; one that holds rows back stays, for it is about them, too."""
    rows = Message.objects.filter(pk__in=messages)
    ended = rows.exclude(status=Message.Status.SENDING)
    ended.update(paused_at=None, error_enum="", error_description="")
    rows.update(status=Message.Status.SENDING, canceled_at=None, updated_at=timezone.now())


def resend_refused(message: Message) -> int:
    """Send again to those, and only those, whose mail was refused; returns how many wait now."""
    return requeue(refused(message))


def readdress(delivery: Delivery, typed: str) -> Delivery:
    """Send one person's mail to another address: a new row with a new link; the old link leads nowhere any more.

    Raises BadAddress for what is no address, CannotResend if that address is in the message already, or the row is still on its
    way, or was corrected before, or an administrator closed its link.
    """
    address = normalize(typed)
    message = delivery.message
    if delivery.state in Delivery.OPEN:
        raise CannotResend(_("This mail is still on its way. Wait until it has ended, or stop the rest first."))
    now = timezone.now()
    fixed = Delivery(
        organization_id=delivery.organization_id, message=message, kind=delivery.kind, position=delivery.position,
        person=delivery.person, user_id=delivery.user_id, name=delivery.name, address=address,
        address_key=address_key(address), lane=delivery.lane, priority=delivery.priority,
        provider=providers.resolve(message.organization, message.app), next_at=now, date=now,
    )  # fmt: skip
    fixed.internet_message_id = f"<{fixed.code}@{delivery.internet_message_id.rpartition('@')[2]}"
    try:
        with transaction.atomic():
            fixed.save()
            words = _("Sent to %(address)s instead") % {"address": address}
            mine = Delivery.objects.filter(pk=delivery.pk, link_revoked_at__isnull=True)
            if not mine.update(link_revoked_at=now, error_description=words):
                raise CannotResend(_("This address was corrected already, or its link was closed; nothing was sent."))
            reopen([message.pk])
    except IntegrityError as err:
        raise CannotResend(_("%(address)s is a recipient of this message already.") % {"address": address}) from err
    wake("messaging.tasks.pump", cluster="send")
    return fixed


def resolve_doubts(rows: QuerySet[Delivery], *, has_arrived: bool, actor: User) -> int:
    """Decide about rows in doubt, as somebody who asked the recipient or read the server's log; returns how many.

    `has_arrived` makes them accepted; otherwise they are sent again, with the same Message-ID, so that a mail server may drop a
    second copy. Each decision is audited.
    """
    now = timezone.now()
    count = 0
    for row in rows.filter(state=Delivery.State.IN_DOUBT).select_related("organization", "message"):
        mine = Delivery.objects.filter(pk=row.pk, state=Delivery.State.IN_DOUBT)
        if has_arrived:
            values = {"state": Delivery.State.ACCEPTED, "accepted_at": now, "lease": ""}
            changed = mine.update(**values, error_description=_("Confirmed by an administrator"), updated_at=now)
        else:
            changed = requeue(mine)
        if changed:
            what = "delivery confirmed" if has_arrived else "delivery sent again"
            audit.record(row.organization, actor, what, row.code, message=row.message.code)
            results.complete([row.message_id])
        count += changed
    return count
