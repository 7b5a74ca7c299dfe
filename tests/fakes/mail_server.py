"""A real mail server on loopback that keeps what it gets and does what a test asks for."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass
class Kept:
    """One mail as the server saw it."""

    mail_from: str
    rcpt_to: list[str]
    content: bytes


@dataclass
class MailServer:
    """aiosmtpd's handler. `answers` maps an address to the reply its RCPT gets; `after_data` to the reply of its mail."""

    mails: list[Kept] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    after_data: dict[str, str] = field(default_factory=dict)
    refuse_sender: str = ""
    speaks_utf8: bool = True
    hang_up_at: str = ""  # "rcpt" or "dot"
    at_data: Callable[[], object] = bool
    connections: int = 0
    port: int = 0
    credentials: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_MAIL(self, server, session, envelope, address, options):
        self.log.append(f"MAIL {address}")
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.log.append(f"RCPT {address}")
        if self.hang_up_at == "rcpt":
            server.transport.abort()
            return "421 bye"
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        address = envelope.rcpt_tos[0]
        self.log.append(f"DATA {address}")
        self.at_data()
        self.mails.append(Kept(envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        if self.hang_up_at == "dot":
            server.transport.abort()
            return "421 bye"
        return self.after_data.get(address, "250 2.0.0 kept as 4711")

    def authenticate(self, server, session, envelope, mechanism, data):
        assert isinstance(data, LoginPassword)
        self.credentials.append((data.login, data.password))
        return AuthResult(success=data.password == b"right password", handled=False)


class Running:
    """A mail server in a thread of its own: TLS from the first byte (`implicit`), STARTTLS, or neither."""

    def __init__(self, handler: MailServer, *, implicit=None, starttls=None) -> None:
        self.handler, self.starttls = handler, starttls
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        making = self.loop.create_server(self.make, "127.0.0.1", 0, ssl=implicit)
        self.server = asyncio.run_coroutine_threadsafe(making, self.loop).result(10)
        handler.port = self.server.sockets[0].getsockname()[1]

    def make(self) -> SMTP:
        """Return the protocol of one connection."""
        self.handler.connections += 1
        return SMTP(
            self.handler,
            hostname="mail.example",
            enable_SMTPUTF8=self.handler.speaks_utf8,
            tls_context=self.starttls,
            authenticator=self.handler.authenticate,
            auth_require_tls=self.starttls is not None,
            loop=self.loop,
        )

    def stop(self) -> None:
        """End the server and its thread."""
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


def serve(handler: MailServer, **tls) -> Running:
    """Start a server for `handler`; the caller stops it."""
    return Running(handler, **tls)


def certificate(name: str, **made) -> tuple[trustme.CA, ssl.SSLContext]:
    """Return an authority and a server context with a certificate for `name` (`not_after` and so on as trustme has them)."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **made).configure_cert(context)
    return authority, context
