"""The Kaltura session (KS): the credential of every API call, read in both wire formats and made in the newer one.

A KS is made by whoever holds a secret of the organization, mostly offline by a client library, so nothing inside it is
trusted before its signature fits. Both formats rest on plain SHA-1 because existing clients make them so; where that is
weak (v1 can be lengthened by a stranger) the checks below say what closes it. Nothing here writes a KS or a secret into
an exception, a repr or a log line.

    v1  base64(<hex SHA1(secret + info)> "|" info), info = partner;partner;expiry;type;random;user;privileges[;master;data]
    v2  base64url("v2|" partner "|" AES-128-CBC(SHA1(body) + body)), body = 16 random bytes + privileges&_e=&_t=&_u=
"""

import base64
import contextlib
import enum
import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from accounts.ks_privileges import UNFIT, Privileges
from accounts.models import Organization

MAX_LENGTH = 8192  # characters; what web servers take as one header
MAX_PARTNER_ID = 2**31 - 1  # of Organization.partner_id
MAX_EXPIRY = 253_402_300_799  # the last second that Python's datetime knows
DEFAULT_SECONDS = 86_400

_BLOCK = 16
_DIGEST = 20
_RANDOM = 16
_NO_IV = CBC(bytes(_BLOCK))  # the 16 random bytes in the body take its place
_URL_ALPHABET = str.maketrans("-_", "+/")
_DIGITS = re.compile(r"[0-9]{1,12}")


class Reason(enum.IntEnum):
    """Why a KS is refused: name and number are those of the wire's `Invalid KS "…", Error "<number>,<name>"`.

    This module raises the first three; the others are for the checks that need a request or a table (C7 to C9).
    """

    INVALID_STR = -1
    INVALID_TYPE = -4
    EXPIRED = -5
    LOGOUT = -6
    EXCEEDED_ACTIONS_LIMIT = -8
    EXCEEDED_RESTRICTED_IP = -9
    EXCEEDED_RESTRICTED_URI = -11


class KSError(Exception):
    """A KS that is not good for this call; `reason` says why, and the text is no more than the reason's name."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class SessionType(enum.IntEnum):
    """What a session may do: act for one user, or for the whole organization."""

    USER = 0
    ADMIN = 2


@dataclass(frozen=True)
class Session:
    """What a KS says, after its signature has been found good.

    `signature` (40 hex digits) is the session's identity for revocation and for counting calls: the text of one KS can
    be written in several base64 ways. `expires_at` is in Unix seconds; `user_id` may be empty.
    """

    partner_id: int
    type: SessionType
    user_id: str
    expires_at: int
    privileges: Privileges
    signature: str = field(repr=False)

    @property
    def is_admin(self) -> bool:
        """Say whether the session may act for the whole organization."""
        return self.type is SessionType.ADMIN

    @property
    def label(self) -> str:
        """Return what the administrators' log calls it."""
        return f"API session of {self.user_id}" if self.user_id else "API session"


@dataclass(frozen=True)
class Packed:
    """A KS as it came, unverified: whose it claims to be, and the bytes that will show it."""

    version: int
    partner_id: int
    signature: bytes = field(repr=False)  # v1 alone; v2 has it inside the cipher text
    content: bytes = field(repr=False)


# ---- Read -------------------------------------------------------------------------------------------------------------


@sensitive_variables()
def read(token: str) -> tuple[Organization, Session]:
    """Return the organization and the session of a KS.

    Raises KSError: INVALID_STR for whatever is not a KS that one of the organization's secrets has made (an unknown or
    switched-off organization looks the same as a wrong secret), else INVALID_TYPE or EXPIRED.
    """
    packed = unpack(token, accept_v1=settings.KS_ACCEPT_V1)
    organization = Organization.objects.filter(partner_id=packed.partner_id, is_active=True).first()
    if organization is None:
        raise KSError(Reason.INVALID_STR)
    session = verify(
        packed,
        admin_secrets=organization.admin_secrets,
        user_secrets=organization.user_secrets,
        now=time.time(),
    )
    return organization, session


def token_of_header(value: str) -> str:
    """Return the KS of an Authorization header (`Bearer <ks>` or `KS <ks>`, in any case), or "" if it carries none."""
    scheme, _space, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() in {"bearer", "ks"} else ""


@sensitive_variables()
def unpack(token: str, *, accept_v1: bool = True) -> Packed:
    """Return the outer form of a KS: the partner stands in clear in both versions, so that its secrets can be found.

    Both base64 alphabets are taken, with or without padding. Raises KSError(INVALID_STR).
    """
    packed = None
    # Raised below and not in here: the ValueError would stay in the KSError's context, and its text may hold the token.
    with contextlib.suppress(ValueError):
        packed = _unpack(token)
    if packed is None or (packed.version == 1 and not accept_v1):
        raise KSError(Reason.INVALID_STR)
    return packed


@sensitive_variables()
def verify(packed: Packed, *, admin_secrets: Iterable[str], user_secrets: Iterable[str], now: float) -> Session:
    """Return the session of `packed` if one of the secrets has made it and it has not ended at `now`.

    A user secret makes USER sessions only. Raises KSError: INVALID_STR, INVALID_TYPE or EXPIRED.
    """
    secrets = [(secret, True) for secret in admin_secrets] + [(secret, False) for secret in user_secrets]
    for secret, makes_admins in secrets:
        opened = _open_v2(packed, secret) if packed.version == 2 else _open_v1(packed, secret)
        if opened is None:
            continue
        session = _read_fields(packed, *opened)
        if session.is_admin and not makes_admins:
            raise KSError(Reason.INVALID_TYPE)
        if session.expires_at <= now:
            raise KSError(Reason.EXPIRED)
        return session
    raise KSError(Reason.INVALID_STR)


@sensitive_variables()
def _unpack(token: str) -> Packed:
    text = token.strip().rstrip("=").translate(_URL_ALPHABET)
    if len(text) > MAX_LENGTH:
        raise ValueError("too long")
    raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if raw.startswith(b"v2|"):
        _version, partner, cipher_text = raw.split(b"|", 2)
        if not cipher_text or len(cipher_text) % _BLOCK:
            raise ValueError("not whole blocks")
        return Packed(2, _number(partner.decode("ascii"), MAX_PARTNER_ID), b"", cipher_text)
    signature, info = raw.split(b"|", 1)
    return Packed(1, _number(info.split(b";", 1)[0].decode("ascii"), MAX_PARTNER_ID), signature, info)


@sensitive_variables()
def _open_v1(packed: Packed, secret: str) -> tuple[str, bytes] | None:
    """Return signature and fields if `secret` has signed them."""
    expected = hashlib.sha1(secret.encode() + packed.content, usedforsecurity=False).hexdigest().encode()
    return (expected.decode(), packed.content) if hmac.compare_digest(expected, packed.signature) else None


@sensitive_variables()
def _open_v2(packed: Packed, secret: str) -> tuple[str, bytes] | None:
    """Return signature and fields if `secret` opens them."""
    decryptor = Cipher(AES(_key(secret)), _NO_IV).decryptor()
    plain = (decryptor.update(packed.content) + decryptor.finalize()).rstrip(b"\0")
    signature, body = plain[:_DIGEST], plain[_DIGEST:]
    expected = hashlib.sha1(body, usedforsecurity=False).digest()
    return (signature.hex(), body[_RANDOM:]) if hmac.compare_digest(expected, signature) else None


def _read_fields(packed: Packed, signature: str, content: bytes) -> Session:
    """Return the session in signed content; raises KSError for what no client makes."""
    session = None
    with contextlib.suppress(ValueError):
        text = content.decode("utf-8")
        split = _split_v2(text) if packed.version == 2 else _split_v1(text, packed.partner_id)
        expiry, type_, user_id, privileges = split
        if UNFIT.search(user_id):
            raise ValueError("a control character")
        if type_ not in {"0", "2"}:
            raise KSError(Reason.INVALID_TYPE)
        session = Session(
            partner_id=packed.partner_id,
            type=SessionType(int(type_)),
            user_id=user_id,
            expires_at=_number(expiry, MAX_EXPIRY),
            privileges=privileges,
            signature=signature,
        )
    if session is None:
        raise KSError(Reason.INVALID_STR)
    return session


def _split_v1(info: str, partner_id: int) -> tuple[str, str, str, Privileges]:
    """Return expiry, type, user and privileges of v1's fields by position.

    SHA1(secret + info) can be continued by a stranger who has one valid KS, but not without SHA-1's padding between the
    two parts: 0x80 is no UTF-8 there and its zero bytes are control characters. Both are refused, so do not loosen it.
    """
    if UNFIT.search(info):
        raise ValueError("a control character")
    fields = info.split(";")
    # Seven from clients, nine from Kaltura's server. Any other number means a ";" inside a field has shifted the rest.
    if len(fields) not in {7, 9} or fields[1] != fields[0]:
        raise ValueError("not v1's fields")
    if len(fields) == 9 and fields[7]:
        _number(fields[7], MAX_PARTNER_ID)
    return fields[2], fields[3], fields[5], Privileges.parse(fields[6])


def _split_v2(query: str) -> tuple[str, str, str, Privileges]:
    """Return expiry, type, user and privileges of v2's query string."""
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
    own = {name: value for name, value in pairs if name in {"_e", "_t", "_u", "_m", "_d"}}
    others = [(name, value) for name, value in pairs if name not in own]
    if len(own) + len(others) != len(pairs) or not {"_e", "_t"} <= own.keys():
        raise ValueError("a field is missing or given twice")
    return own["_e"], own["_t"], own.get("_u", ""), Privileges(tuple(others))


# ---- Make -------------------------------------------------------------------------------------------------------------


@sensitive_variables()
def start(
    organization: Organization,
    *,
    type: SessionType,
    user_id: str,
    seconds: int = DEFAULT_SECONDS,
    privileges: str = "",
) -> str:
    """Return a new KS of `organization` that is good for `seconds`.

    It is signed with the newest ADMIN secret; without one, a USER session with the newest USER secret. What the caller
    may ask for is the caller's to check. Raises ValueError for privileges, a user id or a time that a KS cannot hold,
    and if the organization has no secret for this type.
    """
    secrets = organization.admin_secrets or (organization.user_secrets if type is SessionType.USER else [])
    if not secrets:
        raise ValueError(f"The organization has no secret for {type.name} sessions; add one with create_organization.")
    if seconds < 1:
        raise ValueError("A session must be good for at least a second.")
    return encode(
        secrets[-1],
        partner_id=organization.partner_id,
        type=type,
        user_id=user_id,
        expires_at=int(time.time()) + seconds,
        privileges=Privileges.parse(privileges),
    )


@sensitive_variables()
def encode(
    secret: str, *, partner_id: int, type: SessionType, user_id: str, expires_at: int, privileges: Privileges
) -> str:
    """Return a KS in v2, the only version we make (v1 can be lengthened, and a ";" shifts its fields).

    Raises ValueError if user id or expiry cannot be held, or the KS would be longer than we read.
    """
    if UNFIT.search(user_id):
        raise ValueError("A user id cannot hold control characters.")
    if expires_at > MAX_EXPIRY:
        raise ValueError("The session would end later than time can be told; ask for a shorter one.")
    stored = [("all", "*") if pair == ("*", "") else pair for pair in privileges.pairs]
    fields = urlencode([*stored, ("_e", expires_at), ("_t", int(type)), ("_u", user_id)])
    body = os.urandom(_RANDOM) + fields.encode("ascii")
    plain = hashlib.sha1(body, usedforsecurity=False).digest() + body
    encryptor = Cipher(AES(_key(secret)), _NO_IV).encryptor()
    cipher_text = encryptor.update(plain + bytes(-len(plain) % _BLOCK)) + encryptor.finalize()
    token = base64.urlsafe_b64encode(f"v2|{partner_id}|".encode() + cipher_text).decode()
    if len(token) > MAX_LENGTH:
        raise ValueError("The user id and the privileges are too long for a session.")
    return token


# ---- Shared -----------------------------------------------------------------------------------------------------------


def _key(secret: str) -> bytes:
    return hashlib.sha1(secret.encode(), usedforsecurity=False).digest()[:16]


def _number(text: str, largest: int) -> int:
    """Return a whole number of ASCII digits from 1 to `largest`; raises ValueError."""
    number = int(text) if _DIGITS.fullmatch(text) else 0
    if not 1 <= number <= largest:
        raise ValueError("not a number that fits")
    return number
