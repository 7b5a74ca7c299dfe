"""The connection below SMTP: bytes out, replies in, TLS, time-outs, and how far a mail had got when it broke.

What a caller needs to know after a failure is one thing: may the server have the mail? `ConnectionLost.dot_written` says it.
"""

import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from messaging.transports.replies import Malformed, Reply, ReplyReader, clean_text

BLOCK = 64 * 1024  # what one time-out of the body is for; `sendall` has one time-out for all it is given


class Phase(StrEnum):
    """How far a connection or a mail had got."""

    CONNECT = "connect"
    TLS = "TLS"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "body"
    DOT = "final dot"


@dataclass(frozen=True)
class Timeouts:
    """Seconds. RFC 5321 4.5.3.2 for everything about a mail; it gives a greeting 5 minutes, for which nobody here waits."""

    connect: float = 30
    greeting: float = 60  # also EHLO, TLS and AUTH
    reply: float = 300  # MAIL, RCPT, RSET
    data: float = 120
    block: float = 180
    dot: float = 600
    quit: float = 5


class SmtpError(Exception):
    """Something kept a mail from going its way."""


class ConnectionLost(SmtpError):
    """The connection broke, timed out, or stopped being SMTP; it is closed.

    Unless `dot_written` the server cannot have the mail.
    """

    def __init__(self, words: str, phase: Phase, *, dot_written: bool = False) -> None:
        super().__init__(words)
        self.phase = phase
        self.dot_written = dot_written


class ProtocolError(ConnectionLost):
    """The server said what SMTP does not know, or spoke out of turn."""


class TlsFailed(SmtpError):
    """No TLS; `why_untrusted` says what is wrong with the certificate, if it is that."""

    def __init__(self, words: str, why_untrusted: str = "") -> None:
        super().__init__(words)
        self.why_untrusted = why_untrusted


class Wire:
    """One socket. Every failure is a ConnectionLost that names the phase; closing is left to the caller."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.phase = Phase.CONNECT
        self.dot_written = False
        self._socket: socket.socket | None = None
        self._reader = ReplyReader()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    def reach(self, addresses: Sequence[str], port: int) -> None:
        """Connect to the first of the addresses that answers."""
        self.phase = Phase.CONNECT
        last: Exception = OSError("no address")
        for address in addresses:
            try:
                found = socket.create_connection((address, port), self.timeouts.connect)
            except (OSError, UnicodeError) as err:
                last = err
                continue
            # Without it every body waits 40 ms for an acknowledgement (measured: 23 mails a second).
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = found
            return
        self._lose(last)

    def secure(self, context: ssl.SSLContext, host: str) -> str:
        """Start TLS and return its version. Raises TlsFailed, also if the certificate is not one for `host`.

        What came in before was sent by nobody who is proven: a server that has said more than it was asked is not believed.
        """
        self.phase = Phase.TLS
        self.require_silence()
        found = self._open_socket()
        found.settimeout(self.timeouts.greeting)
        try:
            secured = context.wrap_socket(found, server_hostname=host)
        except ssl.SSLCertVerificationError as err:
            raise TlsFailed(clean_text(str(err)), err.verify_message) from err
        except ssl.SSLError as err:
            raise TlsFailed(clean_text(str(err))) from err
        except (OSError, ValueError) as err:
            self._lose(err)
        self._socket = secured
        return secured.version() or ""

    def write(self, data: bytes, seconds: float) -> None:
        """Write all of the data, a block of it in `seconds` at most."""
        found = self._open_socket()
        try:
            found.settimeout(seconds)
            if len(data) <= BLOCK:
                found.sendall(data)
                return
            view = memoryview(data)
            for start in range(0, len(data), BLOCK):
                found.sendall(view[start : start + BLOCK])
        except OSError as err:
            self._lose(err)

    def read(self, seconds: float) -> Reply:
        """Return the next reply; all of it must come within the time, so that nobody holds us by a letter a minute."""
        found = self._open_socket()
        deadline = 0.0
        try:
            while (reply := self._reader.take()) is None:
                now = time.monotonic()
                deadline = deadline or now + seconds
                if now >= deadline:
                    raise TimeoutError("timed out")
                found.settimeout(deadline - now)
                data = found.recv(BLOCK)
                if not data:
                    raise ConnectionResetError("the server closed the connection")
                self._reader.feed(data)
        except OSError as err:
            self._lose(err)
        except Malformed as err:
            raise self.protocol_error(str(err)) from err
        return reply

    def require_silence(self) -> None:
        """Refuse to go on if the server answered more than it was asked: what comes next would be matched wrongly."""
        if self._reader.buffer:
            raise self.protocol_error(clean_text(self._reader.buffer[:200]))

    def protocol_error(self, words: str) -> ProtocolError:
        """Return the error that says the server does not keep to SMTP."""
        return ProtocolError(words, self.phase, dot_written=self.dot_written)

    def close(self) -> None:
        """Close without a word; never raises."""
        found, self._socket = self._socket, None
        self._reader = ReplyReader()
        if found is not None:
            found.close()

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            self._lose(OSError("not connected"))
        return self._socket

    def _lose(self, error: Exception) -> NoReturn:
        raise ConnectionLost(clean_text(str(error)), self.phase, dot_written=self.dot_written) from error
