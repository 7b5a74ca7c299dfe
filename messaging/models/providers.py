"""Configured ways to send: a provider row holds settings and secrets, a transport is the code that uses it."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import App, Organization
from accounts.models.organizations import TenantQuerySet
from pitch.lib.fields import CodeField, EncryptedTextField


class EmailProvider(models.Model):
    """One configured provider. `organization` is null for the installation's shared one (the API's partner 0)."""

    class Type(models.TextChoices):
        """Which transport sends."""

        SMTP = "smtp", _("SMTP server")

    class Security(models.TextChoices):
        """How the connection is protected (R365); never "if available"."""

        SSL = "ssl", _("SSL/TLS from the first byte (port 465)")
        STARTTLS = "starttls", _("STARTTLS (port 587)")
        NONE = "none", _("none (only if the operator allows it)")

    class SenderMode(models.TextChoices):
        """Whose name a person's mail stands under: From, Sender and MAIL FROM (docs/sending.md)."""

        SEND_AS = "send-as", _("the person (send as)")
        ON_BEHALF = "on-behalf", _("the person, sent by the default address (on behalf)")
        SERVICE = "service", _("the default address (service)")

    organization = models.ForeignKey(
        Organization,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="email_providers",
        verbose_name=_("organization"),
    )
    code = CodeField()
    name = models.CharField(_("name"), max_length=120, blank=True)
    type = models.CharField(_("type"), max_length=20, choices=Type.choices, default=Type.SMTP)
    is_default = models.BooleanField(_("default"), default=True)
    is_active = models.BooleanField(_("active"), default=True)

    host = models.CharField(_("host"), max_length=253)
    port = models.PositiveIntegerField(
        _("port"), default=587, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    security = models.CharField(_("security"), max_length=10, choices=Security.choices, default=Security.STARTTLS)
    ca_bundle = models.TextField(
        _("own certificate authority"), blank=True, help_text=_("PEM text; empty: the authorities of this machine.")
    )
    user = models.CharField(_("user name"), max_length=254, blank=True)
    password = EncryptedTextField(_("password"), blank=True)
    from_address = models.EmailField(
        _("default sender address"),
        blank=True,
        help_text=_(
            "Sender of Pitch's own mails. People's mails use it only as the sender mode says; it must then be allowed to "
            "send for others."
        ),
    )
    from_name = models.CharField(_("default sender name"), max_length=120, blank=True)
    reply_to_address = models.EmailField(_("reply address"), blank=True)
    reply_to_name = models.CharField(_("reply name"), max_length=120, blank=True)
    envelope_from = models.EmailField(
        _("address for bounces"), blank=True, help_text=_("MAIL FROM of every mail; empty: as the sender mode says.")
    )
    sender_mode = models.CharField(
        _("mails come from"), max_length=10, choices=SenderMode.choices, default=SenderMode.SEND_AS
    )

    max_connections = models.PositiveSmallIntegerField(
        _("connections at most"),
        default=4,
        validators=[MinValueValidator(1), MaxValueValidator(64)],
        help_text=_("How many connections the server may get at once; Exchange Online allows 3."),
    )
    # What the server was last seen to bear; halved when it says “too many”, regained slowly. Empty: the maximum.
    connections = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    connections_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Its limits are used up until then.
    throttled_until = models.DateTimeField(null=True, blank=True, editable=False)

    is_guarded = models.BooleanField(
        default=True, editable=False, help_text=_("May only reach networks and ports the operator allows.")
    )

    # What the last attempt to use it found; a stopped provider burns nobody's attempt.
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True)
    stopped_reason = models.CharField(_("why it stopped"), max_length=500, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    is_stop_permanent = models.BooleanField(
        default=False, editable=False, help_text=_("It stays stopped until a person changes the settings.")
    )
    # When administrators were last mailed about a stop; written before the mail goes, so that there is one for each stop.
    told_at = models.DateTimeField(null=True, blank=True, editable=False)
    tested_at = models.DateTimeField(_("last tested"), null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("email provider")
        verbose_name_plural = _("email providers")
        constraints = [
            models.UniqueConstraint(
                name="email_provider_one_default_per_organization",
                fields=["organization"],
                condition=models.Q(is_default=True),
                violation_error_message=_("This organization has a default provider already."),
            ),
            models.CheckConstraint(
                name="email_provider_port_in_range", condition=models.Q(port__gte=1) & models.Q(port__lte=65535)
            ),
            models.CheckConstraint(
                name="email_provider_sender_mode_has_its_address",
                condition=models.Q(sender_mode="send-as")
                | (models.Q(sender_mode__in=["on-behalf", "service"]) & ~models.Q(from_address="")),
                violation_error_message=_("This sender mode needs the default sender address."),
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.host


class ProviderAssignment(models.Model):
    """Which provider an app (or, without one, the whole organization) sends through."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="provider_assignments")
    app = models.ForeignKey(App, models.CASCADE, null=True, blank=True, related_name="provider_assignments")
    provider = models.ForeignKey(EmailProvider, models.CASCADE, related_name="assignments")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("provider assignment")
        verbose_name_plural = _("provider assignments")
        constraints = [
            models.UniqueConstraint(name="provider_assignment_one_per_app", fields=["organization", "app"]),
            models.UniqueConstraint(
                name="provider_assignment_one_without_app",
                fields=["organization"],
                condition=models.Q(app__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.app or self.organization} → {self.provider}"
