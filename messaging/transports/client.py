"""An SMTP client that knows how far it got: the dialogue only, no settings, no database.

smtplib does not say whether the final dot was written, has no PIPELINING (RFC 2920), knows ASCII passwords only and reads replies
without limits.
"""

import re
import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple

from django.utils.translation import gettext as _

from messaging.transports import sasl
from messaging.transports.base import Envelope
from messaging.transports.encoding import Unsendable, encode_body, encode_path
from messaging.transports.replies import Reply
from messaging.transports.wire import ConnectionLost, Phase, SmtpError, Timeouts, Wire

NAME = re.compile(r"[A-Za-z0-9._-]+|\[[A-Za-z0-9.:]+\]")
DATA = b"DATA\r\n"
DOT = b".\r\n"


class NotOffered(SmtpError):
    """The server does not offer what we need."""


class Refused(SmtpError):
    """The server refused before any mail: at its greeting, EHLO, STARTTLS or AUTH."""

    def __init__(self, phase: Phase, reply: Reply) -> None:
        super().__init__(str(reply))
        self.phase = phase
        self.reply = reply


class Answer(NamedTuple):
    """The reply that decided about a mail: the first refusal, or the one to the final dot."""

    phase: Phase
    reply: Reply


class Prepared(NamedTuple):
    """A mail as it goes over the wire."""

    envelope: Envelope
    mail: bytes
    rcpt: bytes
    body: bytes

    @property
    def commands(self) -> bytes:
        """Everything before the body."""
        return self.mail + self.rcpt + DATA


class SmtpClient:
    """One connection to a server.

    `addresses` are tried in turn (none: those of the host name), while TLS checks `host`. With a `context` there is TLS from the
    first byte, or after STARTTLS; there is no "if available". `listen` hears the dialogue, without secrets.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str,
        context: ssl.SSLContext | None,
        starttls: bool = False,
        addresses: Sequence[str] = (),
        timeouts: Timeouts | None = None,
        listen: Callable[[str], None] | None = None,
    ) -> None:
        if starttls and context is None:
            raise ValueError("STARTTLS needs a context")
        if not NAME.fullmatch(name):
            raise ValueError("not a name for EHLO")
        self.host, self.port, self.name = host, port, name
        self.context, self.starttls = context, starttls
        self.addresses = addresses or [host]
        self.timeouts = timeouts or Timeouts()
        self.listen = listen
        self.offers: dict[str, str] = {}
        self._wire = Wire(self.timeouts)
        self._is_pipelining = False
        self._needs_reset = False
        self._announced: Prepared | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._wire.is_open

    def connect(self, user: str = "", password: str = "") -> None:
        """Connect, secure, and sign in if there is a user name.

        Raises ConnectionLost, TlsFailed, NotOffered or Refused; there is no connection then.
        """
        try:
            self._wire.reach(self.addresses, self.port)
            if self.context is not None and not self.starttls:
                self._secure(self.context)
            self._wire.phase = Phase.GREETING
            reply = self._wire.read(self.timeouts.greeting)
            self._tell(f"< {reply}")
            if reply.code != 220:
                raise Refused(Phase.GREETING, reply)
            self._greet()
            if self.context is not None and self.starttls:
                if "STARTTLS" not in self.offers:
                    raise NotOffered("STARTTLS")
                self._require(Phase.STARTTLS, "STARTTLS", 220)
                self._secure(self.context)
                self._greet()  # whatever was offered before may have been said by somebody else
            if user:
                self._sign_in(user, password)
        except BaseException:
            self.drop()
            raise

    def _secure(self, context: ssl.SSLContext) -> None:
        self._tell(f"* {self._wire.secure(context, self.host)}")

    def _greet(self) -> None:
        """Say EHLO and learn what the server offers. HELO would offer nothing that we can do without."""
        reply = self._require(Phase.EHLO, f"EHLO {self.name}", 250)
        self.offers = {}
        for line in reply.raw.decode("ascii", "replace").upper().split("\n")[1:]:
            word, _space, rest = line.replace("AUTH=", "AUTH ", 1).strip().partition(" ")
            self.offers[word] = f"{self.offers.get(word, '')} {rest}".strip()
        self._is_pipelining = "PIPELINING" in self.offers

    def _sign_in(self, user: str, password: str) -> None:
        """Sign in; neither the dialogue nor an error repeats what was sent, even if the server does."""
        self._wire.phase = Phase.AUTH
        self._tell("> AUTH (name and password not shown)")
        try:
            exchange = sasl.choose(self.offers.get("AUTH", "").split(), user, password)
        except sasl.NoMechanism as err:
            raise NotOffered(str(err)) from err
        secrets = [password.encode()]
        line = next(exchange)
        while (reply := self._command(line)).code == 334:
            try:
                line = exchange.send(reply.raw)
            except (StopIteration, ValueError) as err:
                raise self._wire.protocol_error("334") from err
            secrets.append(line)
        secrets.append(line.rpartition(b" ")[2])
        raw = reply.raw
        for secret in filter(None, secrets):
            raw = raw.replace(secret, b"[hidden]")
        reply = Reply(reply.code, raw)
        self._tell(f"< {reply}")
        if reply.code != 235:
            raise Refused(Phase.AUTH, reply)

    def _require(self, phase: Phase, command: str, code: int) -> Reply:
        self._wire.phase = phase
        self._tell(f"> {command}")
        reply = self._command(command.encode("ascii"))
        self._tell(f"< {reply}")
        if reply.code != code:
            raise Refused(phase, reply)
        return reply

    def _command(self, line: bytes) -> Reply:
        self._wire.require_silence()
        self._wire.write(line + b"\r\n", self.timeouts.greeting)
        return self._wire.read(self.timeouts.greeting)

    def send(self, envelope: Envelope, before_dot: Callable[[], object], following: Envelope | None = None) -> Answer:
        """Send one mail to its one address and return the reply that decided.

        `before_dot` is called when the whole body was written; if it raises, the connection is dropped without the dot, so the mail
        is not sent. Where the server offers PIPELINING the commands for `following` go out together with the dot; the next call
        must then be for exactly that mail, or `abandon`.

        Raises Unsendable (nothing was written), ConnectionLost (see there), and whatever `before_dot` raises.
        """
        announced, self._announced = self._announced, None
        if announced is not None and announced.envelope != envelope:
            self.drop()
            raise ValueError("another mail was announced to the server")
        self._wire.phase, self._wire.dot_written = Phase.MAIL, False
        prepared = announced or self._prepare(envelope)
        try:
            refusal = self._open_mail(prepared, is_announced=announced is not None)
            return refusal or self._hand_over(prepared, before_dot, following)
        except BaseException:
            self.drop()
            raise

    def _prepare(self, envelope: Envelope) -> Prepared:
        mail_from = encode_path(envelope.mail_from) if envelope.mail_from else b""
        rcpt_to = encode_path(envelope.rcpt_to)
        body = encode_body(envelope.content)
        options = b""
        if "SIZE" in self.offers:
            limit = self.offers["SIZE"].partition(" ")[0]
            if limit.isdigit() and 0 < int(limit) < len(envelope.content):
                raise Unsendable(_("The mail is larger than this mail server takes."))
            options = b" SIZE=%d" % len(envelope.content)
        is_plain = body.isascii()
        # The content is ASCII unless an address in a header is not (RFC 6531).
        if not (is_plain and mail_from.isascii() and rcpt_to.isascii()):
            if "SMTPUTF8" not in self.offers:
                raise Unsendable(
                    _("This mail server cannot send mails with addresses that hold letters beyond a–z (SMTPUTF8).")
                )
            options += b" SMTPUTF8" if is_plain or "8BITMIME" not in self.offers else b" BODY=8BITMIME SMTPUTF8"
        return Prepared(envelope, b"MAIL FROM:<%b>%b\r\n" % (mail_from, options), b"RCPT TO:<%b>\r\n" % rcpt_to, body)

    def _open_mail(self, prepared: Prepared, *, is_announced: bool) -> Answer | None:
        """Say MAIL, RCPT and DATA; returns the first refusal, None if the server waits for the body."""
        wire, timeouts, is_pipelining = self._wire, self.timeouts, self._is_pipelining
        if not is_announced:
            wire.require_silence()
            self._reset()
            if is_pipelining:
                wire.write(prepared.commands, timeouts.reply)
        refusal: Answer | None = None
        for phase, line in ((Phase.MAIL, prepared.mail), (Phase.RCPT, prepared.rcpt), (Phase.DATA, DATA)):
            wire.phase = phase
            if not is_pipelining:
                wire.require_silence()
                wire.write(line, timeouts.reply)
            reply = wire.read(timeouts.data if phase is Phase.DATA else timeouts.reply)
            if self.listen is not None:
                self._tell(f"> {line.decode().strip()}\n< {reply}")
            if reply.code == 354 if phase is Phase.DATA else reply.code < 300:
                continue
            if refusal is None:
                if reply.code < 400:
                    raise wire.protocol_error(str(reply))
                refusal = Answer(phase, reply)
            if reply.code == 421 or not is_pipelining:
                break
        if refusal is None:
            wire.require_silence()
        elif reply.code == 421 or reply.code < 400:
            self.drop()  # the server hangs up, or waits for a mail that must not come
        else:
            self._needs_reset = True
        return refusal

    def _reset(self) -> None:
        """Forget the refused mail before."""
        if self._needs_reset:
            self._wire.write(b"RSET\r\n", self.timeouts.reply)
            reply = self._wire.read(self.timeouts.reply)
            if reply.code != 250:
                raise self._wire.protocol_error(str(reply))
            self._needs_reset = False

    def _hand_over(self, prepared: Prepared, before_dot: Callable[[], object], following: Envelope | None) -> Answer:
        wire = self._wire
        wire.phase = Phase.BODY
        wire.write(prepared.body, self.timeouts.block)
        announced = self._announceable(following)
        before_dot()
        wire.phase = Phase.DOT
        wire.dot_written = True  # said before it is: nobody knows how much of a failed write got out
        wire.write(DOT if announced is None else DOT + announced.commands, self.timeouts.block)
        reply = wire.read(self.timeouts.dot)
        if self.listen is not None:
            self._tell(f"> (the mail, {len(prepared.envelope.content)} bytes)\n< {reply}")
        if 300 <= reply.code < 400:
            raise wire.protocol_error(str(reply))
        if reply.code == 421:
            self.drop()
        else:
            self._announced = announced
        return Answer(Phase.DOT, reply)

    def _announceable(self, following: Envelope | None) -> Prepared | None:
        if following is None or not self._is_pipelining:
            return None
        try:
            return self._prepare(following)
        except Unsendable:
            return None  # said when its own turn comes

    def abandon(self) -> None:
        """Take back what was announced as `following`; never raises. A server that waits for its body is hung up on."""
        prepared, self._announced = self._announced, None
        if prepared is None:
            return
        self._wire.phase, self._wire.dot_written = Phase.MAIL, False
        try:
            if self._open_mail(prepared, is_announced=True) is None:
                self.drop()
        except ConnectionLost:
            self.drop()

    def drop(self) -> None:
        """Close the connection without a word; never raises."""
        self._wire.close()
        self._announced, self._needs_reset = None, False

    def quit(self) -> None:
        """Say goodbye and close; never raises. Where a mail is announced nobody waits for a polite moment."""
        try:
            if self.is_connected and self._announced is None:
                self._wire.write(b"QUIT\r\n", self.timeouts.quit)
                self._wire.read(self.timeouts.quit)
        except ConnectionLost:
            pass
        finally:
            self.drop()

    def _tell(self, lines: str) -> None:
        if self.listen is not None:
            self.listen(lines)
