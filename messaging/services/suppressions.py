"""Lifting what keeps an address from being written to."""

from django.db.models import QuerySet
from django.utils import timezone

from messaging.models import Suppression


def lift(rows: QuerySet[Suppression]) -> int:
    """Let the addresses be written to again. Returns how many suppressions ended."""
    return rows.filter(lifted_at__isnull=True).update(lifted_at=timezone.now())
