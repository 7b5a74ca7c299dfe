"""Names of machines: what can be looked up at all."""

import ipaddress
import re

# Underscores are no host names by the book, but people name containers so.
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def is_name(text: str) -> bool:
    """Say whether `text` is a host name (RFC 1123, also one with letters beyond ASCII), without port or final dot."""
    if not text or len(text) > 253:
        return False
    try:
        labels = text.encode("idna").decode("ascii").split(".")
    except UnicodeError:  # an empty label, one of more than 63 characters, or letters no name may have
        return False
    return all(LABEL.fullmatch(label) for label in labels) and not labels[-1].isdecimal()


def is_host(text: str) -> bool:
    """Say whether `text` is a host name or an IP address (IPv6 without brackets)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return is_name(text)
    return True
