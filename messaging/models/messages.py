"""One composition: a Pitch message of a sender, or a bulk message of the API."""

import secrets

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import App, Organization, User
from accounts.models.organizations import TenantQuerySet
from pitch.lib.fields import CodeField, EncryptedJSONField
from templates_app.models import EmailTemplate
from videos.models import Video


def new_bulk_id() -> str:
    """Return a fresh external tracking id: `bulk_` and 24 hex digits (R163)."""
    return f"bulk_{secrets.token_hex(12)}"


class MessageQuerySet(TenantQuerySet):
    """Messages."""

    def of_sender(self, user: User) -> "MessageQuerySet":
        """Keep what `user` wrote in the own organization, without test mails."""
        return self.filter(organization_id=user.organization_id, sender=user, is_test=False)


class Message(models.Model):
    """A message. As a draft it is a row saved while typing; sending freezes its recipients into deliveries."""

    class Kind(models.TextChoices):
        """Who made it."""

        PITCH = "pitch", _("video message")
        API = "api", _("API message")

    class Status(models.TextChoices):
        """The bulk message's words (R176–R179), and our own for what was not sent yet."""

        DRAFT = "draft", _("draft")
        SENDING = "sending", _("sending")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        CANCELED = "canceled", _("canceled")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="messages")
    code = CodeField()
    bulk_id = models.CharField(max_length=29, unique=True, default=new_bulk_id, editable=False)
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.PITCH)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.DRAFT)
    sender = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="messages")
    is_test = models.BooleanField(default=False, help_text=_("A test mail to the sender; counts nowhere."))

    # A Pitch message
    video = models.ForeignKey(Video, models.SET_NULL, null=True, blank=True, related_name="messages")
    subject = models.CharField(_("subject"), max_length=255, blank=True)
    text_html = models.TextField(_("text"), blank=True, help_text=_("Sanitised."))
    signature_html = models.TextField(_("signature"), blank=True, help_text=_("As it was when the message was sent."))
    with_signature = models.BooleanField(default=True)
    reply_to = models.CharField(_("reply address"), max_length=254, blank=True)
    language = models.CharField(max_length=10, default="en")
    # {"to": [{"name": str, "address": str}], "bcc": [...]}: as typed, also while an address is still wrong.
    draft = models.JSONField(default=dict, blank=True)
    # Names and addresses of the draft's rows as plain text, for search.
    draft_people = models.TextField(blank=True)
    draft_version = models.PositiveIntegerField(default=0)
    # The save it holds: the page's own id, a dot, the number of the save in that page. Empty if no page saved last.
    draft_save_id = models.CharField(max_length=44, blank=True, default="")
    draft_saved_at = models.DateTimeField(null=True, blank=True)

    # An API message
    app = models.ForeignKey(App, models.PROTECT, null=True, blank=True, related_name="messages")
    template = models.ForeignKey(EmailTemplate, models.PROTECT, null=True, blank=True, related_name="messages")
    template_version = models.PositiveIntegerField(null=True, blank=True)
    template_snapshot = models.JSONField(default=dict, blank=True)
    receiver_type = models.CharField(max_length=5, blank=True)
    user_ids = models.JSONField(default=list, blank=True)
    group_ids = models.JSONField(default=list, blank=True)
    msg_params = EncryptedJSONField(null=True, blank=True)  # may hold secrets for signing (R77), so never in clear
    attachments = models.JSONField(default=list, blank=True)
    custom_headers = models.JSONField(default=dict, blank=True)
    admin_tags = models.CharField(max_length=1000, blank=True)
    session = models.CharField(_("session"), max_length=255, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    idempotency_hash = models.CharField(max_length=64, blank=True)

    # Sending
    send_after = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    # When administrators were last mailed about a pause they did not ask for (messaging/services/telling.py).
    told_at = models.DateTimeField(null=True, blank=True, editable=False)
    error_enum = models.CharField(max_length=60, blank=True)
    error_description = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="message_idempotency_key_once",
                fields=["organization", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
            ),
            models.CheckConstraint(
                name="message_pitch_has_sender", condition=~models.Q(kind="pitch") | models.Q(sender__isnull=False)
            ),
            models.CheckConstraint(
                name="message_sent_has_send_after",
                condition=models.Q(status__in=["draft", "failed", "canceled"]) | models.Q(send_after__isnull=False),
            ),
        ]
        indexes = [
            # The Messages page: a sender's own, newest first.
            models.Index(name="message_by_sender", fields=["sender", "-created_at"]),
            # message/list and listGroupedBySession.
            models.Index(name="message_by_session", fields=["organization", "session", "-created_at"]),
            # The operators' view, and telling administrators.
            models.Index(name="message_paused", fields=["organization"], condition=models.Q(paused_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.subject or self.code
