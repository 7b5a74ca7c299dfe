"""Lifting what keeps an address from being written to."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.services import audit
from messaging.models import Suppression


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
