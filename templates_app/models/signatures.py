"""Signatures below a sender's messages (R418)."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, User
from accounts.models.organizations import TenantQuerySet
from pitch.lib.fields import CodeField


class Signature(models.Model):
    """A sender's signature, stored as sanitised HTML (templates_app.sanitize)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="signatures")
    owner = models.ForeignKey(User, models.CASCADE, related_name="signatures")
    code = CodeField()
    name = models.CharField(_("name"), max_length=120, blank=True)
    html = models.TextField(_("signature"), blank=True)
    is_default = models.BooleanField(_("used for new messages"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("signature")
        verbose_name_plural = _("signatures")
        constraints = [
            models.UniqueConstraint(
                name="signature_one_default_per_owner", fields=["owner"], condition=models.Q(is_default=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.owner.get_full_name()
