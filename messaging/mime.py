"""Building a mail: pure, and suspicious of every header (abuse cases A5, A6; security.md §4).

Neither Django nor CPython's mail package may be trusted alone with headers: names with line ends and encoded words that decode to
line ends have both got through. So values are checked before, and the finished bytes are read back after.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.charset import QP, Charset
from email.errors import MessageError
from email.header import Header, decode_header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr

from django.utils.translation import gettext as _

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MAX_HEADER = 2000
UTF8_QP = Charset("utf-8")
UTF8_QP.body_encoding = QP


class BadHeader(ValueError):
    """A value would change the mail's headers; the message names the header."""


class Unencodable(ValueError):
    """An address cannot be written the way this mail server needs it."""


@dataclass(frozen=True)
class Mailbox:
    """A name (may be empty) and an address."""

    name: str
    address: str


@dataclass(frozen=True)
class Letter:
    """Everything a mail consists of: `sender` is From, `on_behalf_of` is Sender, `to` None means undisclosed recipients (R380)."""

    sender: Mailbox
    to: Mailbox | None
    subject: str
    html: str
    text: str
    message_id: str
    date: datetime
    reply_to: Mailbox | None = None
    on_behalf_of: Mailbox | None = None
    unsubscribe_url: str = ""


def check_value(name: str, value: str) -> str:
    """Return a header's value if it is one line in every reading of it; raises BadHeader.

    An encoded word (`=?UTF-8?Q?=0A?=`) is decoded and held against the same rule (CVE-2024-6923).
    """
    if len(value) > MAX_HEADER or CONTROL.search(value):
        raise BadHeader(_("%(header)s holds a line break or another control character.") % {"header": name})
    if "=?" in value:
        try:
            parts = [
                part.decode(charset or "ascii", "replace") if isinstance(part, bytes) else part
                for part, charset in decode_header(value)
            ]
        except (LookupError, MessageError, ValueError) as err:
            # What this library cannot read, a mail program may read in its own way.
            raise BadHeader(_("%(header)s holds an encoded word that cannot be read.") % {"header": name}) from err
        for text in parts:
            if CONTROL.search(text):
                raise BadHeader(_("%(header)s hides a line break in an encoded word.") % {"header": name})
    return value


def encode_text(name: str, value: str) -> str:
    """Return free text as a header value, RFC 2047 where it is not plain ASCII (an encoded word in it is spelled out)."""
    check_value(name, value)
    if value.isascii() and "=?" not in value:
        return value
    return Header(value, "utf-8", header_name=name, maxlinelen=76).encode(linesep="\r\n")


def encode_mailbox(name: str, mailbox: Mailbox) -> str:
    """Return `Name <address>`; the name is quoted or encoded so that it can never pass for an address."""
    check_value(name, mailbox.name)
    check_value(name, mailbox.address)
    if mailbox.address.count("@") != 1 or re.search(r"[\s,;<>\"()\[\]\\]", mailbox.address):
        raise BadHeader(_("%(header)s does not hold exactly one address.") % {"header": name})
    if not mailbox.address.isascii():
        return f"{mailbox.name and encode_text(name, mailbox.name)} <{mailbox.address}>".strip()
    if not mailbox.name:
        return mailbox.address
    if mailbox.name.isascii() and "=?" not in mailbox.name:
        return formataddr((mailbox.name, mailbox.address))
    return f"{Header(mailbox.name, 'utf-8', header_name=name).encode(linesep=chr(13) + chr(10))} <{mailbox.address}>"


def headers_of(letter: Letter) -> list[tuple[str, str]]:
    """Return the headers in order; raises BadHeader."""
    headers = [("From", encode_mailbox("From", letter.sender))]
    if letter.on_behalf_of is not None:
        headers.append(("Sender", encode_mailbox("Sender", letter.on_behalf_of)))
    to = "undisclosed-recipients:;" if letter.to is None else encode_mailbox("To", letter.to)
    headers.append(("To", to))
    if letter.reply_to is not None:
        headers.append(("Reply-To", encode_mailbox("Reply-To", letter.reply_to)))
    headers += [
        ("Subject", encode_text("Subject", letter.subject)),
        ("Date", format_datetime(letter.date)),
        ("Message-ID", check_value("Message-ID", letter.message_id)),
    ]
    if letter.unsubscribe_url:
        # One line each: a folded List-Unsubscribe has broken DKIM at relays. RFC 8058 needs both, over https.
        headers.append(("List-Unsubscribe", f"<{check_value('List-Unsubscribe', letter.unsubscribe_url)}>"))
        if letter.unsubscribe_url.startswith("https://"):
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return headers


def build(letter: Letter) -> bytes:
    """Return the mail as it goes over the wire: CRLF, headers in ASCII (UTF-8 only for an RFC 6531 address), quoted-printable.

    multipart/alternative with the text part first (R382). Raises BadHeader, also if the finished bytes read back differently.
    """
    headers = headers_of(letter)
    # From the Message-ID and not random, so that a retry sends the same bytes.
    boundary = f"=_{hashlib.sha256(letter.message_id.encode()).hexdigest()[:40]}"
    body = MIMEMultipart("alternative", boundary=boundary)
    for kind, content in (("plain", letter.text), ("html", letter.html)):
        part = MIMEText("", kind)
        part.replace_header("Content-Type", f'text/{kind}; charset="utf-8"')
        del part["Content-Transfer-Encoding"]
        part.set_payload(content.replace("\r\n", "\n"), UTF8_QP)
        body.attach(part)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    raw = head.encode() + body.as_bytes(policy=policy.SMTP)
    check_bytes(raw, [name for name, _value in headers])
    return raw


def check_bytes(raw: bytes, names: list[str]) -> None:
    """Hold the finished mail against what was meant: exactly these headers, each once, no line too long. Raises BadHeader."""
    parsed = message_from_bytes(raw, policy=policy.compat32)
    expected = sorted([*(name.lower() for name in names), "content-type", "mime-version"])
    if sorted(name.lower() for name, _value in parsed.items()) != expected:
        raise BadHeader(_("The mail would carry other headers than it should."))
    if max(len(line) for line in raw.split(b"\r\n")) > 998:
        raise BadHeader(_("The mail would hold a line longer than mail servers take."))
