"""What pumps share across processes and hosts: who may use a connection now, and how much a provider was given lately."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from messaging.models.providers import EmailProvider


class PumpSlot(models.Model):
    """One connection to a provider. Whoever holds it (a lease, until a time it renews) may send; nobody else."""

    provider = models.ForeignKey(EmailProvider, models.CASCADE, related_name="slots")
    number = models.PositiveSmallIntegerField()
    holder = models.CharField(max_length=120, blank=True, help_text=_("The lease: host, process, random."))
    until = models.DateTimeField(null=True, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("pump slot")
        verbose_name_plural = _("pump slots")
        constraints = [models.UniqueConstraint(name="pump_slot_once", fields=["provider", "number"])]

    def __str__(self) -> str:
        return f"{self.provider} {self.number}"


class ProviderLimit(models.Model):
    """How many mails a provider takes in a span of time, and how many it was given lately, in slices of that span."""

    class Span(models.IntegerChoices):
        """The provider's own unit, in seconds."""

        SECOND = 1, _("second")
        MINUTE = 60, _("minute")
        HOUR = 3600, _("hour")
        DAY = 86400, _("day")

    provider = models.ForeignKey(EmailProvider, models.CASCADE, related_name="limits")
    amount = models.PositiveIntegerField(_("mails"))
    seconds = models.PositiveIntegerField(_("per"), choices=Span.choices, default=Span.MINUTE)
    # {slice number: mails}: kept here, so that neither a restart nor another worker forgets them.
    spent = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        verbose_name = _("provider limit")
        verbose_name_plural = _("provider limits")
        constraints = [
            models.UniqueConstraint(name="provider_limit_once_per_span", fields=["provider", "seconds"]),
            models.CheckConstraint(name="provider_limit_positive", condition=models.Q(amount__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.amount} / {self.get_seconds_display()}"
