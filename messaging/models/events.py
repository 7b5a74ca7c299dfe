"""Facts about deliveries, one row each, appended; only a verdict may be revised, with its reason."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization
from accounts.models.organizations import TenantQuerySet
from messaging.models.deliveries import Delivery
from messaging.models.visits import Verdict, Visit


class DeliveryEvent(models.Model):
    """One fact: an open, a click, a play, a reply, a provider's word."""

    class Kind(models.TextChoices):
        """What happened; the first four are the API's engagement words (R189–R192)."""

        OPEN = "open", _("opened")
        CLICK = "click", _("clicked")
        SPAMREPORT = "spamreport", _("reported as spam")
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
        VISIT = "visit", _("visited the page")
        PLAY = "play", _("played")
        REPLY = "reply", _("replied")
        PROCESSED = "processed", _("accepted by the provider")
        DELIVERED = "delivered", _("delivered")
        DEFERRED = "deferred", _("deferred")
        BOUNCE = "bounce", _("bounced")
        DROPPED = "dropped", _("dropped")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="delivery_events")
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="events")
    visit = models.ForeignKey(Visit, models.SET_NULL, null=True, blank=True, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    verdict = models.CharField(max_length=16, choices=Verdict.choices, default=Verdict.LIKELY_AUTOMATED)
    reason = models.CharField(max_length=60)
    # Own hash of provider, delivery, event, timestamp, url: a repeated report is the same fact (design.md §5.9).
    fingerprint = models.CharField(max_length=64, unique=True)
    url = models.CharField(max_length=2000, blank=True)
    data = models.JSONField(default=dict, blank=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["occurred_at", "id"]
        indexes = [
            # The message page and stats: which facts of one kind does this delivery have?
            models.Index(name="event_by_delivery_kind", fields=["delivery", "kind", "occurred_at"]),
            models.Index(name="event_by_organization_time", fields=["organization", "-occurred_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.verdict})"
