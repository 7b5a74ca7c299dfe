"""Who changed what: appended, never edited, without secrets."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.organizations import Organization, TenantQuerySet
from accounts.models.users import User
from pitch.lib.fields import CodeField


class AuditEntry(models.Model):
    """One fact for the administrators' log."""

    organization = models.ForeignKey(Organization, models.CASCADE, null=True, blank=True, related_name="audit_entries")
    code = CodeField()
    actor = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    actor_label = models.CharField(_("by"), max_length=254, blank=True, help_text=_("Kept when the user is gone."))
    action = models.CharField(_("action"), max_length=60)
    target = models.CharField(_("about"), max_length=254, blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)
    created_at = models.DateTimeField(_("when"), auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(name="audit_by_organization_time", fields=["organization", "-created_at"]),
            # The operators' list, over all organizations.
            models.Index(name="audit_by_time", fields=["-created_at", "-id"]),
            # The search for an address: who did it, and to whom.
            models.Index(name="audit_by_actor", fields=["actor_label"]),
            models.Index(name="audit_by_target", fields=["target"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}".strip()
