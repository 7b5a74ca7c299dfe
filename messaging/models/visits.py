"""Visits of landing pages: one row each, updated by beacons, without address, agent or cookie."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization
from accounts.models.organizations import TenantQuerySet
from messaging.models.deliveries import Delivery
from pitch.lib.fields import CodeField


class Verdict(models.TextChoices):
    """Who did it, as far as can be told."""

    HUMAN = "human", _("human")
    LIKELY_AUTOMATED = "likely_automated", _("likely automated")
    AUTOMATED = "automated", _("automated")


class Visit(models.Model):
    """One visit of one landing page. A visit is likely automated until a trusted gesture proves a person."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="visits")
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="visits")
    code = CodeField()
    verdict = models.CharField(max_length=16, choices=Verdict.choices, default=Verdict.LIKELY_AUTOMATED)
    reason = models.CharField(max_length=60)
    is_sender = models.BooleanField(default=False, help_text=_("The sender looked at it; counts nowhere."))
    # Keyed hash of address and agent; its key is thrown away every day, so nobody can be found by it later.
    source_key = models.CharField(max_length=32, blank=True)
    device = models.CharField(max_length=20, blank=True)
    coverage = models.BinaryField(default=bytes, help_text=_("One bit for each second that was really played."))
    watched_seconds = models.PositiveIntegerField(default=0)
    last_sequence = models.PositiveIntegerField(default=0)
    played_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("visit")
        verbose_name_plural = _("visits")
        ordering = ["-started_at"]
        indexes = [
            models.Index(name="visit_by_delivery", fields=["delivery", "started_at"]),
            # Bursts: what else did the same source open in the last seconds?
            models.Index(name="visit_by_source", fields=["source_key", "started_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.started_at:%Y-%m-%d %H:%M}"
