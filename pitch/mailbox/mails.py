"""Reading the mails the local mailbox kept."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from pathlib import Path

from django.conf import settings

# What Python's parser raises for mails nobody should have written: an unknown charset, odd addresses, nested comments.
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError, MessageError)
NAME = re.compile(r"^(\d{20})-[0-9a-f]{8}$")


@dataclass(frozen=True)
class Mail:
    """One kept mail. `name` is the file's name without `.eml`; `recipients` is the envelope's."""

    name: str
    received_at: datetime
    sender: str
    recipients: list[str]
    message: EmailMessage = field(repr=False)
    source: bytes = field(repr=False)

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return self.header("Subject")

    @property
    def reply_to(self) -> str:
        """Where answers go, if that was set."""
        return self.header("Reply-To")

    @property
    def written_from(self) -> str:
        """What the mail says who wrote it."""
        return self.header("From")

    @property
    def written_to(self) -> str:
        """What the mail says whom it is for."""
        return self.header("To")

    @property
    def html(self) -> str:
        """The HTML part, or nothing."""
        return self.part("html")

    @property
    def text(self) -> str:
        """The plain part, or nothing."""
        return self.part("plain")

    def header(self, name: str) -> str:
        """Return a header decoded, as it stands if it cannot be, or nothing."""
        try:
            return str(self.message[name] or "")
        except UNREADABLE:
            raw = next(str(value) for key, value in self.message.raw_items() if key.lower() == name.lower())
            return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def part(self, kind: str) -> str:
        """Return the text of the part of a kind ("html" or "plain"), what cannot be decoded replaced, or nothing."""
        try:
            part = self.message.get_body((kind,))
        except UNREADABLE:
            return ""
        if part is None:
            return ""
        try:
            return str(part.get_content())
        except UNREADABLE:
            raw = part.get_payload(decode=True)
            return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""


def folder() -> Path:
    """Return where the mails are."""
    return Path(settings.PITCH_DATA) / "mailbox"


def read(name: str) -> Mail | None:
    """Return one mail by its name, or None if there is none."""
    match = NAME.match(name)
    if match is None:
        return None
    try:
        raw = (folder() / f"{name}.eml").read_bytes()
    except OSError:
        return None
    message = message_from_bytes(raw, policy=policy.default)
    recipients = [str(value) for value in message.get_all("X-Envelope-To", [])]
    lines = 1 + len(recipients)
    source = raw.split(b"\r\n", lines)[lines] if raw.count(b"\r\n") >= lines else raw
    received = datetime.fromtimestamp(int(match[1]) / 1e9, UTC)
    return Mail(name, received, str(message["X-Envelope-From"] or ""), recipients, message, source)


def read_all(search: str = "", limit: int = 200) -> list[Mail]:
    """Return the newest mails first, at most `limit`; `search` keeps those with it in an address or the subject."""
    found: list[Mail] = []
    for path in sorted(folder().glob("*.eml"), reverse=True):
        mail = read(path.stem)
        if mail is None:
            continue
        if search.lower() in " ".join([mail.sender, *mail.recipients, mail.subject]).lower():
            found.append(mail)
        if len(found) == limit:
            break
    return found


def clear() -> int:
    """Delete every mail; returns how many there were."""
    paths = list(folder().glob("*.eml"))
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)
