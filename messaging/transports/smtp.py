"""SMTP: one connection for many mails, one RCPT TO each (R375), TLS that is checked or no connection at all (A40)."""

import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from messaging.models import EmailProvider
from messaging.transports import guard
from messaging.transports.base import Envelope, Outcome, ProviderStopped, Result, SenderRefused

CONNECT_SECONDS = 30
REPLY_SECONDS = 300  # RFC 5321 4.5.3.2: MAIL, RCPT
FINAL_DOT_SECONDS = 600  # RFC 5321 4.5.3.2.6
ENHANCED = re.compile(r"^\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
# Exchange says so at MAIL, at RCPT or after the mail: nobody's address is wrong, the account may not send for this user.
SEND_AS = re.compile(r"(?i)^5\.(7\.60|2\.252)\b|\bSendAsDenied\b")
WAIT = re.compile(r"(?i)\btry again in (\d+) (second|minute)")


def clean_reply(reply: bytes | str) -> str:
    """Return a server's words on one line, without control characters, at most 500 characters."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()[:500]


def retry_hint(text: str) -> float | None:
    """Return the seconds a server asks to wait ("try again in 5 minutes"), if it says so."""
    match = WAIT.search(text)
    return None if match is None else int(match[1]) * (60 if match[2].lower() == "minute" else 1)


def classify(code: int, reply: bytes | str) -> Result:
    """Return what a refusal of the address or of the mail means (messaging.md (c))."""
    text = clean_reply(reply)
    if 400 <= code < 500:
        return Result(Outcome.DEFERRED, code, text, retry_after=retry_hint(text))
    match = ENHANCED.match(text)
    subject, detail = (match[2], match[3]) if match else ("", "")
    if subject == "7":
        return Result(Outcome.DROPPED, code, text)
    if (subject, detail) == ("2", "2"):
        return Result(Outcome.BOUNCED, code, text)
    is_hard = subject in {"1", "4"} or (subject, detail) == ("2", "1") or (not match and code in {550, 551, 553})
    return Result(Outcome.BOUNCED, code, text, is_hard=is_hard)


def tls_context(provider: EmailProvider) -> ssl.SSLContext:
    """Return the TLS rules: certificate and host name checked, TLS 1.2 or better, the organization's own authority if given."""
    context = ssl.create_default_context(cadata=provider.ca_bundle or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def is_loopback_mailbox(provider: EmailProvider) -> bool:
    """Say whether this is the demo's own mailbox, the one server that may be spoken to without TLS."""
    return (
        bool(settings.DEMO)
        and provider.host in {"127.0.0.1", "localhost", "::1"}
        and provider.port == settings.MAILBOX_PORT
    )


class _Connection(smtplib.SMTP):
    """smtplib's client, connected to a checked address while TLS still checks the host name."""

    checked_address = ""

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        found = socket.create_connection((self.checked_address or host, port), timeout)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found


class _TlsConnection(_Connection):
    """The same, with TLS from the first byte."""

    context: ssl.SSLContext

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        return self.context.wrap_socket(super()._get_socket(host, port, timeout), server_hostname=host)


class SmtpTransport:
    """A persistent connection to a provider's server; connects at the first mail.

    `listen` hears each step in words, without secrets (the test button's dialogue).
    """

    def __init__(
        self, provider: EmailProvider, *, is_guarded: bool = False, listen: Callable[[str], None] | None = None
    ) -> None:
        self.provider = provider
        self.is_guarded = is_guarded
        self.listen = listen or (lambda line: None)
        self.connection: _Connection | None = None

    def connect(self) -> _Connection:
        """Connect, secure and sign in; raises ProviderStopped with a sentence."""
        provider = self.provider
        plain = provider.security == EmailProvider.Security.NONE
        if plain and not (settings.SMTP_ALLOW_PLAINTEXT or is_loopback_mailbox(provider)):
            raise ProviderStopped(
                _("Mail without TLS is not allowed here. Choose SSL/TLS or STARTTLS."), permanent=True
            )
        try:
            return self._open(plain)
        except guard.Forbidden as err:
            raise ProviderStopped(str(err), permanent=True) from err
        except smtplib.SMTPAuthenticationError as err:
            said = clean_reply(err.smtp_error)
            self.listen(f"< {err.smtp_code} {said}")
            raise ProviderStopped(
                _("The mail server refused the user name or password."),
                permanent=True,
                detail=f"{err.smtp_code} {said}",
            ) from err
        except smtplib.SMTPNotSupportedError as err:
            raise ProviderStopped(
                _("The mail server does not offer what these settings ask for: %(what)s")
                % {"what": clean_reply(str(err))},
                permanent=True,
                detail=clean_reply(str(err)),
            ) from err
        except ssl.SSLCertVerificationError as err:
            raise ProviderStopped(
                _("The mail server's certificate cannot be trusted: %(why)s.") % {"why": err.verify_message},
                permanent=True,
                detail=str(err),
            ) from err
        except ssl.SSLError as err:
            raise ProviderStopped(
                _("No secure connection to the mail server could be made. It may need another TLS setting or TLS 1.2."),
                permanent=False,
                detail=clean_reply(str(err)),
            ) from err
        except (smtplib.SMTPException, OSError) as err:
            raise ProviderStopped(
                _("The mail server %(host)s cannot be reached on port %(port)d.")
                % {"host": provider.host, "port": provider.port},
                permanent=False,
                detail=clean_reply(str(err)),
            ) from err

    def _open(self, plain: bool) -> _Connection:
        provider = self.provider
        context = tls_context(provider) if not plain else None
        kind = _TlsConnection if provider.security == EmailProvider.Security.SSL else _Connection
        connection = kind(timeout=CONNECT_SECONDS)
        if self.is_guarded and not is_loopback_mailbox(provider):
            guard.check_port(provider.port)
            connection.checked_address = guard.resolve(provider.host, provider.port)
        if isinstance(connection, _TlsConnection):
            assert context is not None
            connection.context = context
        self.listen(f"* connect {provider.host}:{provider.port} ({provider.get_security_display()})")
        # smtplib checks the certificate's name against this when it starts TLS later.
        connection._host = provider.host  # type: ignore[attr-defined]
        try:
            code, greeting = connection.connect(provider.host, provider.port)
            self.listen(f"< {code} {clean_reply(greeting)}")
            if code != 220:
                raise smtplib.SMTPConnectError(code, greeting)
            self._greet(connection)
            if provider.security == EmailProvider.Security.STARTTLS:
                self.listen("> STARTTLS")
                connection.starttls(context=context)
                self.listen("* TLS")
                self._greet(connection)
            if provider.user:
                self.listen("> AUTH (name and password not shown)")
                code, said = connection.login(provider.user, provider.password)
                self.listen(f"< {code} {clean_reply(said)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _greet(self, connection: _Connection) -> None:
        code, said = connection.ehlo()
        self.listen(f"> EHLO\n< {code} {clean_reply(said)}")
        if code != 250:
            raise smtplib.SMTPHeloError(code, said)

    def send(self, envelope: Envelope, before_dot: Callable[[], None], following: Envelope | None = None) -> Result:
        """Send one mail to one address; see Transport.send."""
        if self.connection is None:
            self.connection = self.connect()
        connection = self.connection
        options = ["SMTPUTF8"] if not (envelope.rcpt_to + envelope.mail_from).isascii() else []
        if options and not connection.has_extn("smtputf8"):
            return Result(
                Outcome.IMPOSSIBLE,
                None,
                _("This mail server cannot send to addresses with letters beyond a–z (SMTPUTF8)."),
            )
        size = connection.esmtp_features.get("size", "")
        if size.isdigit() and 0 < int(size) < len(envelope.content):
            return Result(Outcome.DROPPED, 552, _("The mail is larger than this mail server takes."))
        try:
            return self._transact(connection, envelope, options, before_dot)
        except (smtplib.SMTPServerDisconnected, OSError) as err:
            self.drop()
            return Result(Outcome.LOST, None, clean_reply(str(err)))

    def _transact(
        self, connection: _Connection, envelope: Envelope, options: list[str], before_dot: Callable[[], None]
    ) -> Result:
        assert connection.sock is not None
        connection.sock.settimeout(REPLY_SECONDS)
        code, said = connection.mail(envelope.mail_from, options)
        self.listen(f"> MAIL FROM:<{envelope.mail_from}>\n< {code} {clean_reply(said)}")
        if code != 250:
            self._reset(connection, code)
            raise SenderRefused(
                _("The mail server refused the sender %(sender)s: %(said)s")
                % {"sender": envelope.mail_from, "said": clean_reply(said)},
                permanent=code >= 500,
                detail=f"{code} {clean_reply(said)}",
                address=envelope.mail_from,
            )
        code, said = connection.rcpt(envelope.rcpt_to)
        self.listen(f"> RCPT TO:<{envelope.rcpt_to}>\n< {code} {clean_reply(said)}")
        if code not in (250, 251):
            self._reset(connection, code)
            return self._refusal(envelope, code, said)
        code, said = connection.docmd("DATA")
        self.listen(f"> DATA\n< {code} {clean_reply(said)}")
        if code != 354:
            self._reset(connection, code)
            return classify(code, said)
        before_dot()
        connection.sock.settimeout(FINAL_DOT_SECONDS)
        try:
            body = smtplib._quote_periods(envelope.content)  # type: ignore[attr-defined]
            connection.send(body if body.endswith(b"\r\n") else body + b"\r\n")
            connection.send(b".\r\n")
            code, said = connection.getreply()
        except (smtplib.SMTPServerDisconnected, OSError) as err:
            self.drop()
            return Result(Outcome.IN_DOUBT, None, clean_reply(str(err)))
        self.listen(f"> (the mail, {len(envelope.content)} bytes)\n< {code} {clean_reply(said)}")
        if code == 250:
            return Result(Outcome.ACCEPTED, code, clean_reply(said))
        self._reset(connection, code)
        return self._refusal(envelope, code, said)

    @staticmethod
    def _refusal(envelope: Envelope, code: int, said: bytes) -> Result:
        """Return what a refusal means for the address; raises ProviderStopped if it is about the sender."""
        text = clean_reply(said)
        if code >= 500 and SEND_AS.search(text):
            raise SenderRefused(
                _("The mail server refused the sender %(sender)s: %(said)s")
                % {"sender": envelope.mail_from, "said": text},
                permanent=True,
                detail=f"{code} {text}",
            )
        return classify(code, said)

    def _reset(self, connection: _Connection, code: int) -> None:
        """Be ready for the next mail after a refusal; 421 means the server hangs up."""
        if code == 421:
            self.drop()
            return
        try:
            connection.rset()
        except (smtplib.SMTPException, OSError):
            self.drop()

    def drop(self) -> None:
        """Forget a broken connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def close(self) -> None:
        """Say goodbye."""
        if self.connection is not None:
            try:
                self.connection.sock.settimeout(5)  # type: ignore[union-attr]
                self.connection.quit()
            except (smtplib.SMTPException, OSError):
                self.connection.close()
            self.connection = None
