"""Providers: which one a mail goes through, how settings are saved, and a test that shows the dialogue."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import App, Organization, User
from accounts.services import audit
from messaging import mime
from messaging.models import EmailProvider, Message, ProviderAssignment
from messaging.transports.base import Envelope, Outcome, ProviderStopped
from messaging.transports.smtp import SmtpTransport, is_loopback_mailbox
from pitch.lib.emails import normalize
from pitch.lib.fields import new_code

RETRY_AFTER = timedelta(seconds=30)
GIVES_UP_AFTER = timedelta(minutes=15)
# The columns of a provider that works.
RUNNING: dict[str, Any] = {"stopped_at": None, "stopped_reason": "", "retry_at": None, "is_stop_permanent": False}


@dataclass(frozen=True)
class Dialogue:
    """What a test of a provider said: whether it worked, a sentence, and the lines without secrets."""

    worked: bool
    sentence: str
    lines: list[str]


def resolve(organization: Organization, app: App | None = None) -> EmailProvider | None:
    """Return the provider for an app of an organization: its own, the organization's default, the shared one, or None."""
    active = EmailProvider.objects.filter(is_active=True)
    assigned = (
        ProviderAssignment.objects.for_organization(organization)
        .filter(Q(app=app) if app is not None else Q(app__isnull=True), provider__is_active=True)
        .select_related("provider")
        .first()
    )
    if assigned is not None:
        return assigned.provider
    own = active.filter(organization=organization, is_default=True).first()
    return own or active.filter(organization__isnull=True).order_by("-is_default", "pk").first()


def transport_for(provider: EmailProvider) -> SmtpTransport:
    """Return the transport of a provider; rows made by an organization's people are held inside what the operator allows."""
    return SmtpTransport(provider, is_guarded=provider.is_guarded)


def check_security(provider: EmailProvider) -> None:
    """Raise ValidationError if the provider would be spoken to in the clear although nobody allowed that."""
    if (
        provider.security == EmailProvider.Security.NONE
        and not settings.SMTP_ALLOW_PLAINTEXT
        and not is_loopback_mailbox(provider)
    ):
        raise ValidationError(
            {"security": _("Mail without TLS is not allowed here; the operator can set SMTP_ALLOW_PLAINTEXT=true.")}
        )


def save_smtp(organization: Organization, *, actor: User | None = None, **values: Any) -> EmailProvider:
    """Make or replace the organization's default SMTP provider.

    `values` are EmailProvider's columns. A password of "" keeps the old one if host and user stay the same. Settings given by
    somebody with an account (`actor`) may only reach what the operator allows; the operator's own command may name anything.
    Raises ValidationError.
    """
    with transaction.atomic():
        provider = (
            EmailProvider.objects.select_for_update()
            .filter(organization=organization, is_default=True, type=EmailProvider.Type.SMTP)
            .first()
        ) or EmailProvider(organization=organization, is_default=True)
        same_place = (provider.host, provider.user) == (values.get("host"), values.get("user", ""))
        if not values.get("password"):
            values["password"] = provider.password if same_place else ""
        for name, value in values.items():
            setattr(provider, name, value)
        provider.name = provider.name or provider.host
        save(provider, actor=actor)
    return provider


def save(provider: EmailProvider, *, actor: User | None = None) -> EmailProvider:
    """Check and save a provider whose columns were set; a stopped one may try again. Raises ValidationError."""
    provider.is_guarded = actor is not None and not actor.is_operator
    for name, value in RUNNING.items():
        setattr(provider, name, value)
    check_security(provider)
    provider.full_clean(exclude=["organization", "password"])
    with transaction.atomic():
        provider.save()
        audit.record(
            provider.organization,
            actor,
            "email provider changed",
            provider.host,
            port=provider.port,
            security=provider.security,
        )
    return provider


def delete(provider: EmailProvider, *, actor: User) -> None:
    """Delete a provider; mails that wait for it go through the next one (sending.Pump.deliver)."""
    with transaction.atomic():
        provider.delete()
        audit.record(provider.organization, actor, "email provider deleted", provider.host)


def stop(provider: EmailProvider, reason: ProviderStopped) -> None:
    """Write on the row why it cannot be used. Nobody's attempt is burned: mails wait until it works or is changed."""
    now = timezone.now()
    sentence = f"{reason} ({reason.detail})" if reason.detail and reason.detail not in str(reason) else str(reason)
    first = provider.stopped_at or now
    wait = GIVES_UP_AFTER if reason.permanent else min(max(RETRY_AFTER, (now - first) / 2), GIVES_UP_AFTER)
    EmailProvider.objects.filter(pk=provider.pk).update(
        # Pumps that ran side by side stop it one after another; it is one stop.
        stopped_at=Coalesce("stopped_at", first),
        stopped_reason=sentence[:500],
        retry_at=now + wait,
        is_stop_permanent=reason.permanent,
    )


def pause(message: Message, reason: ProviderStopped) -> None:
    """Hold back a message whose sender the server refuses, and say why; the rest of the organization's mail goes on."""
    words = f"{reason} ({reason.detail})" if reason.detail and reason.detail not in str(reason) else str(reason)
    now = timezone.now()
    Message.objects.filter(pk=message.pk, paused_at__isnull=True).update(
        paused_at=now, error_enum="senderRefused", error_description=words[:500], updated_at=now
    )


def run_again(provider: EmailProvider) -> None:
    """Take the stop off a provider that has just worked."""
    if provider.stopped_at is not None:
        EmailProvider.objects.filter(pk=provider.pk).update(**RUNNING)
        provider.stopped_at = None


def usable() -> Q:
    """Return the condition on providers that they may be tried now: neither resting after a failure nor used up."""
    now = timezone.now()
    rested = Q(retry_at__isnull=True) | Q(retry_at__lte=now)
    return rested & (Q(throttled_until__isnull=True) | Q(throttled_until__lte=now))


def envelope_from(provider: EmailProvider, sender_address: str) -> str:
    """Return MAIL FROM: the bounce address, else the address the mail is from (R373, R450)."""
    if provider.envelope_from:
        return provider.envelope_from
    return provider.from_address if provider.uses_default_sender and provider.from_address else sender_address


def message_id_domain(provider: EmailProvider | None, sender_address: str) -> str:
    """Return the domain of Message-IDs: the sender's."""
    address = provider.from_address if provider is not None and provider.uses_default_sender else sender_address
    return (address or sender_address).rpartition("@")[2] or "pitch.invalid"


def test(provider: EmailProvider, address: str) -> Dialogue:
    """Send a real test mail to `address` and return what was said, without secrets. Never raises for a server's failure."""
    lines: list[str] = []
    sender = provider.from_address or address
    letter = mime.Letter(
        sender=mime.Mailbox(provider.from_name or "Pitch", sender),
        to=mime.Mailbox("", normalize(address)),
        subject=_("Pitch: your mail settings work"),
        text=_("This mail was sent through %(host)s. Nothing else needs to be done.") % {"host": provider.host} + "\n",
        html="<p>"
        + _("This mail was sent through %(host)s. Nothing else needs to be done.") % {"host": provider.host}
        + "</p>\n",
        message_id=f"<test-{new_code()}@{sender.rpartition('@')[2]}>",
        date=timezone.now(),
    )
    transport = SmtpTransport(
        provider, is_guarded=provider.is_guarded, listen=lambda line: lines.extend(line.splitlines())
    )
    try:
        envelope = Envelope(envelope_from(provider, sender), normalize(address), mime.build(letter))
        result = transport.send(envelope, before_dot=lambda: None)
    except ProviderStopped as err:
        return Dialogue(False, str(err), hide_secrets(lines + ([f"! {err.detail}"] if err.detail else []), provider))
    finally:
        transport.close()
    EmailProvider.objects.filter(pk=provider.pk).update(tested_at=timezone.now())
    if result.outcome is Outcome.ACCEPTED:
        run_again(provider)
        sentence = _("The mail server accepted a test mail to %(address)s.") % {"address": address}
        return Dialogue(True, sentence, hide_secrets(lines, provider))
    sentence = _("The mail server did not take the test mail: %(said)s") % {
        "said": result.text or _("the connection was lost")
    }
    return Dialogue(False, sentence, hide_secrets(lines, provider))


def hide_secrets(lines: list[str], provider: EmailProvider) -> list[str]:
    """Return the lines with password and user name blanked, whatever a server may have repeated."""
    secrets = [secret for secret in (provider.password, provider.user) if secret]
    return [_blank(line, secrets) for line in lines]


def _blank(line: str, secrets: list[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "[hidden]")
    return line
