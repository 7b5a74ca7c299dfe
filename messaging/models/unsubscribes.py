"""Who must not be written to: opt-outs by the people themselves, suppressions by what mail servers said."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import App, Organization
from accounts.models.organizations import TenantQuerySet
from messaging.models.deliveries import Delivery


class Unsubscribe(models.Model):
    """An opt-out. An empty `group` is the organization's personal video mails; others are the templates' groups."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="unsubscribes")
    app = models.ForeignKey(App, models.CASCADE, null=True, blank=True, related_name="unsubscribes")
    address_key = models.CharField(_("address"), max_length=254)
    group = models.CharField(_("group"), max_length=255, blank=True)
    user_id = models.CharField(max_length=120, blank=True)
    delivery = models.ForeignKey(Delivery, models.SET_NULL, null=True, blank=True, related_name="+")
    source = models.CharField(max_length=20, default="page")
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    ended_at = models.DateTimeField(_("until"), null=True, blank=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="unsubscribe_once_per_group",
                fields=["organization", "address_key", "group"],
                condition=models.Q(ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.address_key} {self.group}".strip()


class Suppression(models.Model):
    """An address that hard-bounced or complained: nothing is sent to it until an administrator lifts it."""

    class Reason(models.TextChoices):
        """Why."""

        BOUNCE = "bounce", _("the address does not exist")
        COMPLAINT = "complaint", _("reported as spam")
        MANUAL = "manual", _("set by an administrator")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="suppressions")
    address_key = models.CharField(_("address"), max_length=254)
    reason = models.CharField(_("reason"), max_length=10, choices=Reason.choices)
    detail = models.CharField(_("the server's words"), max_length=500, blank=True)
    delivery = models.ForeignKey(Delivery, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    lifted_at = models.DateTimeField(_("lifted"), null=True, blank=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("suppressed address")
        verbose_name_plural = _("suppressed addresses")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="suppression_once_per_address",
                fields=["organization", "address_key"],
                condition=models.Q(lifted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.address_key
