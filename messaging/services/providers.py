"""Providers: which one a mail goes through, how settings are saved, and a test that shows the dialogue."""

import contextlib
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.ks import Session
from accounts.models import App, Organization, User
from accounts.services import audit
from messaging import mime
from messaging.models import Delivery, EmailProvider, Message, ProviderAssignment, ProviderLimit
from messaging.transports import guard
from messaging.transports.base import Envelope, Outcome, ProviderStopped
from messaging.transports.smtp import SmtpTransport, is_loopback_mailbox
from messaging.transports.wire import Timeouts
from pitch.lib import hosts
from pitch.lib.emails import normalize
from pitch.lib.fields import new_code
from pitch.lib.queue import wake

RETRY_AFTER = timedelta(seconds=30)
GIVES_UP_AFTER = timedelta(minutes=15)
# Somebody waits for the answer; a mail server that needs longer can still send.
TEST_TIMEOUTS = Timeouts(connect=10, greeting=15, reply=30, data=30, block=30, dot=60)
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


def is_guarded(provider: EmailProvider, actor: User | None, session: Session | None) -> bool:
    """Say whether who saves may only name servers that the operator lets an organization's people and programs reach.

    Operators vouch for what they save; somebody else's change leaves that alone as long as host, port and security stay.
    """
    if session is None and (actor is None or actor.is_operator):
        return False
    return not EmailProvider.objects.filter(
        pk=provider.pk, is_guarded=False, host=provider.host, port=provider.port, security=provider.security
    ).exists()


def check(provider: EmailProvider, *, actor: User | None = None, session: Session | None = None) -> None:
    """Raise ValidationError for settings that cannot work or that this person or program must not save."""
    if not hosts.is_host(provider.host.removesuffix(".")):
        words = _("“%(host)s” is no host name. Write a name like smtp.example.org or an IP address.")
        raise ValidationError({"host": words % {"host": provider.host[:80]}})
    check_security(provider)
    if is_guarded(provider, actor, session):
        check_reach(provider)
    for column in ("from_name", "reply_to_name"):
        try:
            mime.check_value(column, getattr(provider, column))
        except mime.BadHeader as err:
            raise ValidationError({column: _("This name cannot stand in the header of a mail.")}) from err
    if provider.ca_bundle:
        check_authority(provider.ca_bundle)


def check_authority(text: str) -> None:
    """Raise ValidationError if a connection could not use `text` as its certificate authority: it is really loaded."""
    if not text.isascii():
        words = _(
            "The certificate authority holds letters beyond ASCII. Leave out the comments around the certificates."
        )
        raise ValidationError({"ca_bundle": words})
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as err:
        words = _(
            "The certificate authority cannot be read. It must be PEM text with whole certificates, each from "
            "-----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----."
        )
        raise ValidationError({"ca_bundle": words}) from err


def check_reach(provider: EmailProvider) -> None:
    """Raise ValidationError for a port or an address that the operator has not allowed (abuse cases A3, A4).

    A name is looked up when it is connected to, and held against the same rule then.
    """
    if is_loopback_mailbox(provider):
        return
    try:
        guard.check_port(provider.port)
    except guard.Forbidden as err:
        raise ValidationError({"port": str(err)}) from err
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(provider.host)
        try:
            guard.resolve(provider.host, provider.port)
        except guard.Forbidden as err:
            raise ValidationError({"host": str(err)}) from err


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


def save_smtp(
    organization: Organization, *, actor: User | None = None, session: Session | None = None, **values: Any
) -> EmailProvider:
    """Make or replace the organization's default SMTP provider, and use it from now on.

    `values` are EmailProvider's columns; a column that is not named keeps its value. A password of "" keeps the old one if
    host and user stay the same, and an own authority goes with its host: neither is ever tried at another server. Settings
    given by a person (`actor`) or a program (`session`) may only reach what the operator allows; the operator's own command
    may name anything. Raises ValidationError.
    """
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)  # two first calls at once make one row
        provider = (
            EmailProvider.objects.select_for_update()
            .filter(organization=organization, is_default=True, type=EmailProvider.Type.SMTP)
            .first()
        ) or EmailProvider(organization=organization, is_default=True)
        same_place = (provider.host, provider.user) == (values.get("host"), values.get("user", ""))
        if not values.get("password"):
            values["password"] = provider.password if same_place else ""
        if provider.host != values.get("host"):
            values.setdefault("ca_bundle", "")
        if session is not None and provider.pk is None:
            # Source 4 names the address mails come from, and nobody has said that the server lets it send as everybody (R450).
            provider.sender_mode = EmailProvider.SenderMode.SERVICE
        is_named_by_host = provider.name in {"", provider.host}
        for name, value in values.items():
            setattr(provider, name, value)
        if is_named_by_host:
            provider.name = provider.host[:120]
        provider.is_active = True
        save(provider, actor=actor, session=session)
    return provider


def save(provider: EmailProvider, *, actor: User | None = None, session: Session | None = None) -> EmailProvider:
    """Check and save a provider whose columns were set. Raises ValidationError.

    What stood still for the old settings may try again: the provider itself, and messages whose sender it refused.
    """
    provider.is_guarded = is_guarded(provider, actor, session)
    for name, value in RUNNING.items():
        setattr(provider, name, value)
    check(provider, actor=actor, session=session)
    provider.full_clean(exclude=["organization", "password"])
    with transaction.atomic():
        provider.save()
        audit.record(
            provider.organization,
            actor,
            "email provider changed",
            provider.host,
            label=session.label if session is not None else "",
            port=provider.port,
            security=provider.security,
        )
        resume(refused_by(provider))
    return provider


def set_limits(provider: EmailProvider, wanted: Mapping[int, int], *, actor: User | None = None) -> None:
    """Replace a provider's limits: seconds of the span → mails. What was given to it lately still counts."""
    with transaction.atomic():
        standing = ProviderLimit.objects.select_for_update().filter(provider=provider)
        before = dict(standing.values_list("seconds", "amount"))
        if before == dict(wanted):
            return
        standing.exclude(seconds__in=wanted).delete()
        for seconds, amount in wanted.items():
            ProviderLimit.objects.update_or_create(provider=provider, seconds=seconds, defaults={"amount": amount})
        # The pumps look again: the next mail may be allowed sooner, or later.
        EmailProvider.objects.filter(pk=provider.pk).update(throttled_until=None)
        words = ", ".join(f"{amount}/{seconds}s" for seconds, amount in sorted(wanted.items()))
        audit.record(provider.organization, actor, "email provider limits changed", provider.host, limits=words)


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


def refused_by(provider: EmailProvider) -> QuerySet[Message]:
    """Return the messages that are held back because a server refused their sender, and that a provider's settings may mend."""
    held = Message.objects.filter(error_enum="senderRefused")
    if provider.organization_id is not None:
        return held.filter(organization=provider.organization_id)
    waiting = Delivery.objects.filter(message=OuterRef("pk"), provider=provider, state__in=Delivery.WAITING)
    return held.filter(Exists(waiting))


def resume(rows: QuerySet[Message]) -> int:
    """Let paused messages go on; returns how many were paused."""
    paused = rows.filter(paused_at__isnull=False)
    count = paused.update(paused_at=None, error_enum="", error_description="", updated_at=timezone.now())
    if count:
        wake("messaging.tasks.pump", cluster="send")
    return count


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


def envelope_from(provider: EmailProvider, author_address: str) -> str:
    """Return MAIL FROM: the bounce address, else the service address if it sends, else the author's (R373, R450)."""
    if provider.envelope_from:
        return provider.envelope_from
    return author_address if provider.sender_mode == EmailProvider.SenderMode.SEND_AS else provider.from_address


def reply_to(provider: EmailProvider) -> mime.Mailbox | None:
    """Return where answers go if the settings say so (R381, R450)."""
    if not provider.reply_to_address:
        return None
    return mime.Mailbox(provider.reply_to_name, provider.reply_to_address)


def message_id_domain(provider: EmailProvider | None, sender_address: str) -> str:
    """Return the domain of Message-IDs: that of From."""
    is_service = provider is not None and provider.sender_mode == EmailProvider.SenderMode.SERVICE
    address = provider.from_address if provider is not None and is_service else sender_address
    return address.rpartition("@")[2] or "pitch.invalid"


def doubts(provider: EmailProvider) -> list[str]:
    """Return what may keep people's mails from arriving although the settings work, one sentence each.

    DMARC looks at the domain of From alone, so it must be one the organization has proven to own.
    """
    organization = provider.organization
    if organization is None or is_loopback_mailbox(provider):
        return []  # every organization has domains of its own; and no mail leaves the demo
    if provider.sender_mode == EmailProvider.SenderMode.SERVICE:
        addresses = [provider.from_address]
    else:
        people = User.objects.for_organization(organization).filter(is_active=True)
        addresses = list(people.values_list("email", flat=True))
    proven = tuple(organization.verified_domains.values_list("domain", flat=True))
    domains = {address.rpartition("@")[2].lower() for address in addresses}
    strange = sorted(domain for domain in domains if not f".{domain}".endswith(tuple(f".{own}" for own in proven)))
    if not strange:
        return []
    named = ", ".join(strange[:5]) + (" …" if len(strange) > 5 else "")
    found = [
        _(
            "Mails come from %(domains)s, which is not among the verified domains of this organization: receivers that check "
            "DMARC may refuse them unless the domain's own records name this mail server."
        )
        % {"domains": named}
    ]
    if provider.sender_mode == EmailProvider.SenderMode.ON_BEHALF:
        found.append(
            _("Sent on behalf, such a mail passes only if the mail server signs it (DKIM) for the domain in From.")
        )
    return found


def test(provider: EmailProvider, address: str) -> Dialogue:
    """Connect, sign in and send a real test mail to `address` (empty: no mail); return what was said, without secrets.

    Never raises for a server's failure.
    """
    lines: list[str] = []
    transport = SmtpTransport(
        provider,
        is_guarded=provider.is_guarded,
        timeouts=TEST_TIMEOUTS,
        listen=lambda line: lines.extend(line.splitlines()),
    )
    try:
        if address:
            worked, sentence = _send_test(provider, transport, normalize(address))
        else:
            transport.connect()
            worked, sentence = True, _("The mail server can be used. No mail was sent.")
    except ProviderStopped as err:
        worked, sentence = False, str(err)
        lines += [f"! {err.detail}"] if err.detail else []
    except mime.BadHeader as err:
        worked, sentence = False, str(err)
    finally:
        transport.close()
    EmailProvider.objects.filter(pk=provider.pk).update(tested_at=timezone.now())
    return Dialogue(worked, sentence, hide_secrets(lines, provider))


def _send_test(provider: EmailProvider, transport: SmtpTransport, address: str) -> tuple[bool, str]:
    sender = provider.from_address or address
    text = _("This mail was sent through %(host)s. Nothing else needs to be done.") % {"host": provider.host}
    letter = mime.Letter(
        sender=mime.Mailbox(provider.from_name or "Pitch", sender),
        to=mime.Mailbox("", address),
        subject=_("Pitch: your mail settings work"),
        text=text + "\n",
        html=f"<p>{text}</p>\n",
        message_id=f"<test-{new_code()}@{sender.rpartition('@')[2]}>",
        date=timezone.now(),
    )
    envelope = Envelope(envelope_from(provider, sender), address, mime.build(letter))
    result = transport.send(envelope, before_dot=lambda: None)
    if result.outcome is Outcome.ACCEPTED:
        run_again(provider)
        return True, _("The mail server accepted a test mail to %(address)s.") % {"address": address}
    if result.outcome is Outcome.IN_DOUBT:
        return False, _("The mail server did not say whether it took the test mail; look whether it arrived.")
    said = result.text or _("the connection was lost")
    return False, _("The mail server did not take the test mail: %(said)s") % {"said": said}


def hide_secrets(lines: list[str], provider: EmailProvider) -> list[str]:
    """Return the lines with password and user name blanked, whatever a server may have repeated."""
    secrets = [secret for secret in (provider.password, provider.user) if secret]
    return [_blank(line, secrets) for line in lines]


def _blank(line: str, secrets: list[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "[hidden]")
    return line
