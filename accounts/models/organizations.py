"""The tenant (the API's partner), the domains it has proven, and its applications (App Registry)."""

import re
from typing import Self

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from pitch.lib.fields import CodeField, EncryptedJSONField

RESERVED_SLUGS = frozenset({"www", "api", "admin", "static", "media", "mail", "messaging", "app-registry", "healthz"})


class TenantQuerySet(models.QuerySet):
    """Rows that belong to an organization; every look-up of a page or an API call starts with `for_organization`."""

    def for_organization(self, organization: "Organization | None") -> Self:
        """Keep only the rows of `organization`; None (nobody, or an operator outside any) sees no row."""
        return self.none() if organization is None else self.filter(organization=organization)


def check_slug(value: str) -> None:
    """Refuse the names that our own hosts and paths need; raises ValidationError."""
    if value in RESERVED_SLUGS:
        raise ValidationError(
            _("“%(value)s” is kept for Pitch itself; choose another short name."), params={"value": value}
        )


class Organization(models.Model):
    """A tenant. Secrets are needed in clear (the KS is an encrypted HMAC token), so they are stored encrypted."""

    code = CodeField()
    slug = models.CharField(
        _("short name"),
        max_length=40,
        unique=True,
        validators=[
            RegexValidator(re.compile(r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$"), _("Use a–z, 0–9 and hyphens inside.")),
            check_slug,
        ],
        help_text=_("Part of the address, in front of the base domain."),
    )
    name = models.CharField(_("name"), max_length=120)
    partner_id = models.PositiveIntegerField(_("partner id"), unique=True, help_text=_("The number API clients know."))
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Switched off: nobody signs in, nothing is sent.")
    )

    admin_secrets = EncryptedJSONField(default=list, editable=False)
    user_secrets = EncryptedJSONField(default=list, editable=False)

    # What pages and mails look like
    brand_color = models.CharField(
        _("brand colour"),
        max_length=7,
        default="#0e6377",
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$", _("Write a colour like #0e6377."))],
    )
    logo = models.FileField(
        _("logo"), upload_to="logos/", blank=True, help_text=_("PNG, JPEG or WebP; shown on pages and in mails.")
    )
    website = models.URLField(_("website"), blank=True)

    # Policies
    video_max_seconds = models.PositiveIntegerField(
        _("longest video, seconds"), null=True, blank=True, help_text=_("Empty: the limit of this installation.")
    )
    retention_days = models.PositiveIntegerField(_("keep visits for, days"), default=180)
    tracks_opens = models.BooleanField(_("track opens"), default=False)
    magic_link_hosts = models.JSONField(_("allowed hosts of magic links"), default=list, blank=True)
    smtp_notes = models.TextField(
        _("notes for the mail server's people"), blank=True, help_text=_("Allow-lists, tickets, who to ask.")
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        ordering = ["name"]
        constraints = [
            # Partner 0 means "everybody" in the API (the shared email provider), so no tenant may have it.
            models.CheckConstraint(name="organization_partner_id_positive", condition=models.Q(partner_id__gt=0)),
        ]

    def __str__(self) -> str:
        return self.name


class VerifiedDomain(models.Model):
    """A mail domain an organization has proven to own; a domain belongs to at most one organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="verified_domains")
    domain = models.CharField(_("domain"), max_length=253, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("verified domain")
        verbose_name_plural = _("verified domains")
        ordering = ["domain"]
        constraints = [
            models.CheckConstraint(name="verified_domain_lower_case", condition=models.Q(domain=Lower("domain"))),
        ]

    def __str__(self) -> str:
        return self.domain


class App(models.Model):
    """An application of the organization (the API's App Registry entry; `code` is its appGuid)."""

    class Status(models.TextChoices):
        """The wire words of the App Registry."""

        ENABLED = "enabled", _("enabled")
        DISABLED = "disabled", _("disabled")
        DELETED = "deleted", _("deleted")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="apps")
    code = CodeField()
    type = models.CharField(_("type"), max_length=40, default="pitch")
    custom_id = models.CharField(_("custom id"), max_length=120, blank=True)
    custom_name = models.CharField(_("custom name"), max_length=120, blank=True)
    organization_domain = models.CharField(max_length=253, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ENABLED)
    is_default = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("app")
        verbose_name_plural = _("apps")
        constraints = [
            models.UniqueConstraint(
                name="app_one_default_per_organization", fields=["organization"], condition=models.Q(is_default=True)
            ),
            models.UniqueConstraint(
                name="app_custom_id_once",
                fields=["organization", "type", "custom_id"],
                condition=~models.Q(custom_id="") & ~models.Q(status="deleted"),
            ),
        ]

    def __str__(self) -> str:
        return self.custom_name or self.code
