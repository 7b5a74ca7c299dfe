"""SMTP: one connection for many mails, one RCPT TO each (R375), TLS that is checked or no connection at all (A40).

The client knows the protocol; here stand the settings, what each answer means (messaging.md (c)), and the sentences.
"""

import ipaddress
import re
import ssl
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from messaging.models import EmailProvider
from messaging.transports import guard
from messaging.transports.base import Envelope, Outcome, ProviderStopped, Result, SenderRefused, TooMany
from messaging.transports.client import NotOffered, Refused, SmtpClient
from messaging.transports.encoding import Unsendable
from messaging.transports.replies import Reply
from messaging.transports.wire import ConnectionLost, Phase, ProtocolError, SmtpError, Timeouts, TlsFailed

ENHANCED = re.compile(r"^\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
# Exchange says so at MAIL, at RCPT or after the mail: nobody's address is wrong, the account may not send for this user.
SEND_AS = re.compile(r"(?i)^5\.(7\.60|2\.252)\b|\bSendAsDenied\b")
WAIT = re.compile(r"(?i)\btry again in (\d+) (second|minute)")
# Exchange says 432 4.3.2 and 421 4.3.2, Google 421 4.7.0, Postfix "too many connections"; but 450 4.7.0 is greylisting, and
# 452 4.2.2 a full mailbox.
CROWDED = re.compile(
    r"(?i)^4\.3\.2\b|\btoo many (concurrent |simultaneous )?(smtp )?(connection|session)|\bconcurrent\b"
)


def enhanced(text: str) -> tuple[str, str]:
    """Return subject and detail of a reply's enhanced status code (RFC 3463), empty if it has none."""
    match = ENHANCED.match(text)
    return (match[2], match[3]) if match else ("", "")


def retry_hint(text: str) -> float | None:
    """Return the seconds a server asks to wait ("try again in 5 minutes"), if it says so."""
    match = WAIT.search(text)
    return None if match is None else int(match[1]) * (60 if match[2].lower() == "minute" else 1)


def is_crowded(reply: Reply) -> bool:
    """Say whether the server has too much from us at once, which is about no sender and no address."""
    if not 400 <= reply.code < 500:
        return False
    google = reply.code == 421 and enhanced(reply.text) == ("7", "0")
    return reply.code == 432 or google or bool(CROWDED.search(reply.text))


def classify(reply: Reply) -> Result:
    """Return what the answer to an address or a mail means (messaging.md (c))."""
    code, text = reply.code, reply.text
    if code < 300:
        return Result(Outcome.ACCEPTED, code, text)
    if code < 500:
        return Result(Outcome.DEFERRED, code, text, retry_after=retry_hint(text))
    subject, detail = enhanced(text)
    if subject == "7":
        return Result(Outcome.DROPPED, code, text)
    if (subject, detail) == ("2", "2"):
        return Result(Outcome.BOUNCED, code, text)
    is_hard = subject in {"1", "4"} or (subject, detail) == ("2", "1") or (not subject and code in {550, 551, 553})
    return Result(Outcome.BOUNCED, code, text, is_hard=is_hard)


def tls_context(provider: EmailProvider) -> ssl.SSLContext:
    """Return the TLS rules: certificate and host name checked, TLS 1.2 or better, the organization's own authority if given.

    Raises ProviderStopped if that authority cannot be read.
    """
    try:
        context = ssl.create_default_context(cadata=provider.ca_bundle or None)
    except (ssl.SSLError, ValueError) as err:
        raise ProviderStopped(
            _("The own certificate authority in these settings is not a PEM text that can be read."),
            permanent=True,
            detail=str(err),
        ) from err
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def is_loopback_mailbox(provider: EmailProvider) -> bool:
    """Say whether this is the demo's own mailbox, the one server that may be spoken to without TLS."""
    return (
        bool(settings.DEMO)
        and provider.host in {"127.0.0.1", "localhost", "::1"}
        and provider.port == settings.MAILBOX_PORT
    )


def ehlo_name() -> str:
    """Return the name we greet with: the configured one, never what this machine calls itself in the network."""
    host = urlsplit(settings.PITCH_BASE_URL).hostname or "localhost"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.encode("idna").decode()
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"  # RFC 5321 4.1.3


class SmtpTransport:
    """A persistent connection to a provider's server; connects at the first mail.

    `listen` hears each step in words, without secrets (the test button's dialogue).
    """

    def __init__(
        self,
        provider: EmailProvider,
        *,
        is_guarded: bool = False,
        timeouts: Timeouts | None = None,
        listen: Callable[[str], None] | None = None,
    ) -> None:
        self.provider = provider
        self.is_guarded = is_guarded
        self.timeouts = timeouts
        self.listen = listen
        self.client: SmtpClient | None = None

    def connect(self) -> SmtpClient:
        """Connect, secure and sign in unless that is done; raises ProviderStopped with a sentence."""
        if self.client is None or not self.client.is_connected:
            try:
                client = self._make_client()
                client.connect(self.provider.user, self.provider.password)
            except guard.Forbidden as err:
                raise ProviderStopped(str(err), permanent=True) from err
            except (OSError, UnicodeError) as err:  # the name is unknown
                raise self._unreachable(str(err)) from err
            except SmtpError as err:
                raise self._explain(err) from err
            self.client = client
        return self.client

    def _make_client(self) -> SmtpClient:
        provider = self.provider
        plain = provider.security == EmailProvider.Security.NONE
        if plain and not (settings.SMTP_ALLOW_PLAINTEXT or is_loopback_mailbox(provider)):
            raise ProviderStopped(
                _("Mail without TLS is not allowed here. Choose SSL/TLS or STARTTLS."), permanent=True
            )
        context = None if plain else tls_context(provider)
        addresses: list[str] = []
        if self.is_guarded and not is_loopback_mailbox(provider):
            guard.check_port(provider.port)
            addresses = guard.resolve(provider.host, provider.port)
        if self.listen is not None:
            self.listen(f"* connect {provider.host}:{provider.port} ({provider.get_security_display()})")
        return SmtpClient(
            provider.host,
            provider.port,
            name=ehlo_name(),
            context=context,
            starttls=provider.security == EmailProvider.Security.STARTTLS,
            addresses=addresses,
            timeouts=self.timeouts,
            listen=self.listen,
        )

    def _unreachable(self, detail: str) -> ProviderStopped:
        return ProviderStopped(
            _("The mail server %(host)s cannot be reached on port %(port)d.")
            % {"host": self.provider.host, "port": self.provider.port},
            permanent=False,
            # Settings made in a browser must not tell a closed port from a silent one (abuse case A4).
            detail="" if self.is_guarded else detail,
        )

    def _explain(self, error: SmtpError) -> ProviderStopped:
        """Return why there is no connection, in words."""
        words = str(error)
        match error:
            case TlsFailed() if error.why_untrusted:
                sentence = _("The mail server's certificate cannot be trusted: %(why)s.") % {"why": error.why_untrusted}
                return ProviderStopped(sentence, permanent=True, detail=words)
            case TlsFailed():
                sentence = _(
                    "No secure connection to the mail server could be made. It may need another TLS setting or TLS 1.2."
                )
                return ProviderStopped(sentence, permanent=False, detail=words)
            case NotOffered():
                sentence = _("The mail server does not offer what these settings ask for: %(what)s") % {"what": words}
                return ProviderStopped(sentence, permanent=True, detail=words)
            case Refused() if is_crowded(error.reply):
                return _too_many(error.reply)
            case Refused(phase=Phase.AUTH):
                is_final = error.reply.code >= 500
                sentence = (
                    _("The mail server refused the user name or password.")
                    if is_final
                    else _("The mail server cannot check the user name and password at the moment.")
                )
                return ProviderStopped(sentence, permanent=is_final, detail=words)
            case Refused():
                sentence = _("The mail server does not want to talk to us: %(said)s") % {"said": words}
                return ProviderStopped(sentence, permanent=False, detail=words)
            case ProtocolError() if not self.is_guarded:
                sentence = _("What answers on port %(port)d of %(host)s does not speak SMTP as we need it.")
                place = {"host": self.provider.host, "port": self.provider.port}
                return ProviderStopped(sentence % place, permanent=False, detail=words)
        return self._unreachable(words)

    def send(self, envelope: Envelope, before_dot: Callable[[], object], following: Envelope | None = None) -> Result:
        """Send one mail to one address; see Transport.send."""
        while True:
            is_new = self.client is None or not self.client.is_connected
            client = self.connect()
            try:
                answer = client.send(envelope, before_dot, following)
            except Unsendable as err:
                return Result(Outcome.IMPOSSIBLE, None, str(err))
            except ConnectionLost as err:
                if err.phase is Phase.MAIL and not is_new:
                    continue  # the server ended a connection it had enough of; a new one may be all it wants
                return Result(Outcome.IN_DOUBT if err.dot_written else Outcome.LOST, None, str(err))
            if answer.phase is Phase.MAIL and answer.reply.code == 421 and not is_new:
                continue
            try:
                return self._judge(envelope, answer.phase, answer.reply)
            except ProviderStopped:
                client.abandon()
                raise

    def _judge(self, envelope: Envelope, phase: Phase, reply: Reply) -> Result:
        """Return what an answer means for the address; raises ProviderStopped if it is not about the address."""
        if is_crowded(reply):
            raise _too_many(reply)
        # 552, 5.3.4: the mail is larger than the server takes, whoever it is from.
        if phase is Phase.MAIL and reply.code != 552 and enhanced(reply.text) != ("3", "4"):
            _refuse_sender(envelope, reply)
        if reply.code >= 500 and SEND_AS.search(reply.text):
            raise SenderRefused(
                _("The mail server does not let Pitch send in this person's name: %(said)s") % {"said": reply.text},
                permanent=True,
                detail=str(reply),
            )
        return classify(reply)

    def abandon(self) -> None:
        """Take back the mail that was named as `following`."""
        if self.client is not None:
            self.client.abandon()

    def drop(self) -> None:
        """Forget a broken connection."""
        if self.client is not None:
            self.client.drop()

    def close(self) -> None:
        """Say goodbye."""
        if self.client is not None:
            self.client.quit()


def _too_many(reply: Reply) -> TooMany:
    return TooMany(
        _("The mail server has too much from us at once: %(said)s") % {"said": reply.text},
        permanent=False,
        detail=str(reply),
    )


def _refuse_sender(envelope: Envelope, reply: Reply) -> NoReturn:
    """Raise what a refusal of MAIL FROM means."""
    said = {"said": reply.text, "sender": envelope.mail_from}
    if reply.code == 421:  # the server hangs up, whoever it is from
        raise ProviderStopped(_("The mail server is busy: %(said)s") % said, permanent=False, detail=str(reply))
    if reply.code == 530:  # RFC 4954: it wants to know us first
        sentence = _("The mail server asks for a user name and password, or for TLS: %(said)s") % said
        raise ProviderStopped(sentence, permanent=True, detail=str(reply))
    raise SenderRefused(
        _("The mail server refused the sender %(sender)s: %(said)s") % said,
        permanent=reply.code >= 500,
        detail=str(reply),
        address=envelope.mail_from,
    )
