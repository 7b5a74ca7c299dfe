"""What keeps an address from being written to, asked by its key, and lifting it."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.services import audit
from messaging.models import Suppression, Unsubscribe


@dataclass(frozen=True)
class Bar:
    """Why an address gets no mail: `code` is the API's word, `reason` and `detail` are a suppression's."""

    code: str
    reason: str = ""
    detail: str = ""

    def words(self, name: str = "") -> str:
        """Return the sentence about the person called `name`; without one, about "this person"."""
        values = {"who": name or _("This person"), "why": self.detail or _("the address does not exist")}
        match self.reason:
            case "":
                return _("%(who)s asked for no more mails from your organization.") % values
            case Suppression.Reason.COMPLAINT:
                return _("%(who)s reported an earlier mail as spam.") % values
            case Suppression.Reason.MANUAL:
                return _("%(who)s is not written to: an administrator wants it so.") % values
        if name:
            return _("Earlier mails to %(who)s came back: %(why)s") % values
        return _("Earlier mails to this address came back: %(why)s") % values


def standing(organizations: Collection[int], keys: Collection[str]) -> dict[tuple[int, str], Bar]:
    """Return what keeps addresses from being written to, by (organization's primary key, address key).

    A person's own wish goes before what mail servers said.
    """
    whose = {"organization__in": organizations, "address_key__in": keys}
    found = {
        (row.organization_id, row.address_key): Bar("suppressed", row.reason, row.detail)
        for row in Suppression.objects.filter(**whose, lifted_at__isnull=True)
    }
    gone = Unsubscribe.objects.filter(**whose, group="", ended_at__isnull=True)
    for organization_id, key in gone.values_list("organization_id", "address_key"):
        found[organization_id, key] = Bar("userUnsubscribeFromThisGroup")
    return found


def lift(rows: QuerySet[Suppression], *, actor: User) -> int:
    """Let the addresses be written to again; each goes into the administrators' log. Returns how many suppressions ended."""
    count = 0
    for row in rows.filter(lifted_at__isnull=True).select_related("organization"):
        with transaction.atomic():
            standing = Suppression.objects.filter(pk=row.pk, lifted_at__isnull=True)
            if standing.update(lifted_at=timezone.now()):
                audit.record(row.organization, actor, "suppression lifted", row.address_key, reason=row.reason)
                count += 1
    return count
