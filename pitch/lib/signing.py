"""Signed links that keep working for years (design.md §5.10).

A token is the row's public code (16 characters), the number of the key (1 character) and a MAC (22 characters,
128 bits of HMAC-SHA256 in URL-safe base64). Keys are PITCH_LINK_KEYS: the last one signs, none is ever dropped, so that
an opt-out link in an old mail still works and a retried mail renders the same bytes.
"""

import base64
import hashlib
import hmac
import time

from django.conf import settings

CODE_LENGTH = 16
MAC_LENGTH = 22
VERSIONS = "0123456789abcdefghijklmnopqrstuvwxyz"


def mac(purpose: str, text: str, version: int) -> str:
    """Return the 22-character MAC of `text` for one `purpose` under key number `version` (0 is the oldest key)."""
    key = hashlib.sha256(f"pitch:{purpose}:".encode() + settings.PITCH_LINK_KEYS[version].encode()).digest()
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def sign(purpose: str, code: str) -> str:
    """Return the token of `code` for `purpose`: code, key number, MAC (39 characters for a 16-character code)."""
    version = len(settings.PITCH_LINK_KEYS) - 1
    return f"{code}{VERSIONS[version]}{mac(purpose, code, version)}"


def unsign(purpose: str, token: str) -> str | None:
    """Return the code inside `token`, or None if the token was not made by `sign` for this very purpose.

    The MAC is checked before anybody asks the database, so guessing learns nothing from timing (abuse case A9).
    """
    if len(token) != CODE_LENGTH + 1 + MAC_LENGTH or not token.isascii():
        return None
    code, version, given = token[:CODE_LENGTH], VERSIONS.find(token[CODE_LENGTH]), token[CODE_LENGTH + 1 :]
    if not 0 <= version < len(settings.PITCH_LINK_KEYS):
        return None
    return code if hmac.compare_digest(mac(purpose, code, version), given) else None


def sign_until(purpose: str, text: str, expires: int) -> str:
    """Return a MAC over `text` and the second `expires` (Unix time; 0 means never) under the newest key, key number first."""
    version = len(settings.PITCH_LINK_KEYS) - 1
    return VERSIONS[version] + mac(purpose, f"{text}|{expires}", version)


def check_until(purpose: str, text: str, expires: int, given: str) -> bool:
    """Say whether `given` was made by `sign_until` for the same text and end, and the end has not passed."""
    version = VERSIONS.find(given[:1]) if given else -1
    if not 0 <= version < len(settings.PITCH_LINK_KEYS) or not given.isascii():
        return False
    fits = hmac.compare_digest(mac(purpose, f"{text}|{expires}", version), given[1:])
    return fits and (expires == 0 or time.time() < expires)
