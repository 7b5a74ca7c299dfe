"""Email templates of the Messaging API (source 3 §3, R18–R41) with their history."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import App, Organization, User
from accounts.models.organizations import TenantQuerySet
from pitch.lib.fields import CodeField


class EmailTemplate(models.Model):
    """A template; the 23 fields of source 3 §3 (templateType is always "email" and needs no column)."""

    class Status(models.TextChoices):
        """The wire words (R32)."""

        ENABLED = "enabled", _("enabled")
        DISABLED = "disabled", _("disabled")
        DELETED = "deleted", _("deleted")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="email_templates")
    app = models.ForeignKey(App, models.PROTECT, related_name="email_templates")
    code = CodeField()
    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    subject = models.TextField(_("subject"))
    body = models.TextField(_("body"))
    msg_params_map = models.JSONField(_("tokens"), default=dict, blank=True)
    to_attribute_path = models.CharField(max_length=255, default="{recipient.email}")
    from_address = models.CharField(_("from"), max_length=254, blank=True)
    from_name = models.CharField(_("from name"), max_length=255, blank=True)
    cc = models.CharField(max_length=254, blank=True)
    bcc = models.CharField(max_length=254, blank=True)
    unsubscribe_groups = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ENABLED)
    admin_tags = models.CharField(_("admin tags"), max_length=1000, blank=True)
    custom_headers = models.JSONField(default=dict, blank=True)
    number_of_token_used = models.PositiveIntegerField(default=0, editable=False)
    version = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("email template")
        verbose_name_plural = _("email templates")
        ordering = ["-updated_at"]
        indexes = [
            # email-template/list: by app and status, newest first.
            models.Index(name="email_template_list", fields=["organization", "app", "status", "-created_at"]),
        ]

    def __str__(self) -> str:
        return self.name


class EmailTemplateVersion(models.Model):
    """What a template was at one version: all its fields as JSON, who changed it, and when."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    template = models.ForeignKey(EmailTemplate, models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    content = models.JSONField()
    author = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("version of an email template")
        verbose_name_plural = _("versions of email templates")
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(name="email_template_version_once", fields=["template", "version"])]

    def __str__(self) -> str:
        return f"{self.template} v{self.version}"
