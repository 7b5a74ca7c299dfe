"""Addresses: parsing, normal form, and the key under which an address is found again.

The key is what suppression, opt-outs and uniqueness compare (abuse case A43): the local part case-folded, the domain
in lower-case punycode. Dots and plus-tags are kept: only some providers ignore them, and merging two people is worse.
"""

import re
import unicodedata

import idna
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

_check_local = EmailValidator()
MAX_ADDRESS = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets with its brackets
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


class BadAddress(ValueError):
    """A text is not one usable e-mail address; the message says why in words."""


def normalize(address: str) -> str:
    """Return `address` trimmed, NFC, with its domain in lower-case punycode (RFC 5891).

    Raises BadAddress if it is not exactly one address: control characters, a list, a missing part, an impossible domain.
    """
    text = unicodedata.normalize("NFC", address.strip())
    if not text or CONTROL.search(text) or "," in text or ";" in text or text.count("@") != 1:
        raise BadAddress(f"“{CONTROL.sub(' ', text)[:80]}” is not one e-mail address.")
    local, domain = text.split("@")
    try:
        ascii_domain = idna.encode(domain.lower().rstrip("."), uts46=True).decode().lower()
    except idna.IDNAError as err:
        raise BadAddress(f"“{domain[:80]}” is not the name of a mail domain.") from err
    try:
        # The local part may be non-ASCII (RFC 6531): check its shape with the letters replaced.
        _check_local("".join(c if c.isascii() else "x" for c in local) + "@" + ascii_domain)
    except ValidationError as err:
        raise BadAddress(f"“{text[:80]}” is not an e-mail address.") from err
    result = f"{local}@{ascii_domain}"
    if len(result.encode()) > MAX_ADDRESS:
        raise BadAddress("This e-mail address is longer than 254 characters.")
    return result


def address_key(address: str) -> str:
    """Return the key of `address`; raises BadAddress as `normalize` does."""
    return normalize(address).casefold()
