"""Django's mail backend for Pitch's own mails (invitations, password resets): through the organization's provider.

A mail carries its organization as `message.organization`; without one the shared provider is used. `message.provider` names one.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parseaddr
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.utils import timezone
from django.utils.html import escape, linebreaks

from messaging import mime
from messaging.models import EmailProvider
from messaging.services import providers
from messaging.transports.base import Envelope, Outcome, ProviderStopped
from pitch.lib.fields import new_code

log = logging.getLogger(__name__)


class MailNotSent(Exception):
    """A mail of Pitch itself could not be sent; the message says why."""


class MailInDoubt(MailNotSent):
    """The connection broke after the mail was handed over: it may have arrived."""


class ProviderEmailBackend(BaseEmailBackend):
    """Sends each mail to each of its recipients through the provider of its organization."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send; returns how many mails were accepted. Raises MailNotSent or MailInDoubt unless fail_silently."""
        sent = 0
        for message in email_messages:
            try:
                sent += self._send(message)
            except (MailNotSent, ProviderStopped, mime.BadHeader) as err:
                log.warning("A mail of Pitch was not sent: %s", err)
                if isinstance(err, MailInDoubt) and not self.fail_silently:
                    raise
                if not self.fail_silently:
                    raise MailNotSent(str(err)) from err
        return sent

    def _send(self, message: EmailMessage) -> int:
        provider = self._provider(message)
        name, default = parseaddr(str(message.from_email))
        sender = provider.from_address or default
        transport = providers.transport_for(provider)
        try:
            for recipient in message.recipients():
                letter = self._letter(message, mime.Mailbox(provider.from_name or name, sender), recipient)
                content = mime.build(replace(letter, reply_to=providers.reply_to(provider)))
                envelope = Envelope(providers.envelope_from(provider, sender), parseaddr(recipient)[1], content)
                result = transport.send(envelope, before_dot=lambda: None)
                if result.outcome is Outcome.IN_DOUBT:
                    raise MailInDoubt(result.text or result.outcome.value)
                if result.outcome is not Outcome.ACCEPTED:
                    raise MailNotSent(result.text or result.outcome.value)
        finally:
            transport.close()
        return 1

    @staticmethod
    def _provider(message: EmailMessage) -> EmailProvider:
        given = getattr(message, "provider", None)
        if isinstance(given, EmailProvider):
            return given
        organization: Any = getattr(message, "organization", None)
        if organization is not None:
            provider = providers.resolve(organization)
        else:
            provider = EmailProvider.objects.filter(organization__isnull=True, is_active=True).first()
        if provider is None:
            raise MailNotSent("No mail server is set up: add one under Email providers.")
        return provider

    @staticmethod
    def _letter(message: EmailMessage, sender: mime.Mailbox, recipient: str) -> mime.Letter:
        name, address = parseaddr(recipient)
        html = next(
            (str(part[0]) for part in getattr(message, "alternatives", []) if part[1] == "text/html"),
            linebreaks(escape(message.body)),
        )
        return mime.Letter(
            sender=sender,
            to=mime.Mailbox(name, address),
            subject=str(message.subject),
            html=html,
            text=str(message.body),
            message_id=f"<{new_code()}@{sender.address.rpartition('@')[2]}>",
            date=timezone.now(),
        )
