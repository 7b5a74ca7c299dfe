"""What an SMTP server answers: read with limits, because a server is a stranger (RFC 5321 4.2, 4.5.3.1)."""

import re
from typing import NamedTuple

MAX_LINE = 2000  # RFC 5321 says 512; real servers say more
MAX_REPLY = 64 * 1024
MAX_LINES = 100
LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*?))?\r?", re.DOTALL)
# Control characters of every kind, and letters that turn the direction of writing.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


class Malformed(ValueError):
    """What came is no SMTP reply, or more than one may be."""


def clean_text(text: bytes | str) -> str:
    """Return a server's words on one line, without control characters, at most 500 characters."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return UNSEEN.sub(" ", words).strip()[:500]


class Reply(NamedTuple):
    """One reply: its code, and its lines without the code, parted by line feeds."""

    code: int
    raw: bytes

    @property
    def text(self) -> str:
        """The words, cleaned and trimmed."""
        return clean_text(self.raw)

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


class ReplyReader:
    """Cuts the bytes that come in into replies."""

    def __init__(self) -> None:
        self.buffer = b""

    def feed(self, data: bytes) -> None:
        """Add bytes that came in."""
        self.buffer += data

    def take(self) -> Reply | None:
        """Return the next whole reply, None if more bytes must come; raises Malformed."""
        buffer, start = self.buffer, 0
        code = b""
        lines: list[bytes] = []
        while (end := buffer.find(b"\n", start)) >= 0:
            match = LINE.fullmatch(buffer, start, end)
            if match is None or end - start > MAX_LINE or (code and match[1] != code):
                raise Malformed(clean_text(buffer[start : min(end, start + 100)]))
            code = match[1]
            lines.append(match[3] or b"")
            start = end + 1
            if match[2] != b"-":
                self.buffer = buffer[start:]
                return Reply(int(code), b"\n".join(lines))
            if len(lines) >= MAX_LINES or start > MAX_REPLY:
                raise Malformed("a reply without end")
        if len(buffer) - start > MAX_LINE or len(buffer) > MAX_REPLY:
            raise Malformed("a line without end")
        return None
