"""Signing in to a mail server: AUTH PLAIN, LOGIN and CRAM-MD5 (RFC 4954). Names and passwords are UTF-8 (RFC 4616)."""

import base64
import hmac
from collections.abc import Generator, Sequence

Exchange = Generator[bytes, bytes, None]
NUL = b"\0"


class NoMechanism(Exception):
    """The server offers no way to sign in that we know."""


def choose(offered: Sequence[str], user: str, password: str) -> Exchange:
    """Return the exchange to go through: it yields our lines and is sent the server's challenges. Raises NoMechanism."""
    name, secret = user.encode(), password.encode()
    for mechanism, exchange in (("PLAIN", plain), ("LOGIN", login), ("CRAM-MD5", cram_md5)):
        if mechanism in offered:
            return exchange(name, secret)
    raise NoMechanism("AUTH PLAIN, LOGIN, CRAM-MD5" if offered else "AUTH")


def plain(name: bytes, password: bytes) -> Exchange:
    """RFC 4616."""
    yield b"AUTH PLAIN " + base64.b64encode(NUL + name + NUL + password)


def login(name: bytes, password: bytes) -> Exchange:
    """Never a standard, offered by everybody."""
    yield b"AUTH LOGIN"
    yield base64.b64encode(name)
    yield base64.b64encode(password)


def cram_md5(name: bytes, password: bytes) -> Exchange:
    """RFC 2195. Raises ValueError for a challenge that is not base64."""
    challenge = yield b"AUTH CRAM-MD5"
    digest = hmac.new(password, base64.b64decode(challenge, validate=True), "md5").hexdigest()  # it knows no other
    yield base64.b64encode(name + b" " + digest.encode())
