"""Mails and addresses as SMTP writes them, refused where two servers could read them in two ways (abuse cases A5, A6)."""

import re

import idna
from django.utils.translation import gettext as _

from messaging.transports.replies import clean_text

MAX_PATH = 254  # RFC 5321 4.5.3.1.3, without the angle brackets
MAX_LINE = 998  # RFC 5322 2.1.1
LONE_CR = re.compile(rb"\r(?!\n)")
UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0<>\u2028\u2029]")


class Unsendable(Exception):
    """This mail cannot go over this connection, and nothing of it went; the message says why in words."""


def encode_path(address: str) -> bytes:
    """Return an address as it stands between angle brackets, its domain in punycode.

    Raises Unsendable if it could be read as more than one address.
    """
    local, _at, domain = address.rpartition("@")
    if UNSAFE.search(address) or not local or not domain or "@" in local:
        raise Unsendable(_("“%(address)s” is not one e-mail address.") % {"address": clean_text(address)[:80]})
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError as err:
            raise Unsendable(_("“%(domain)s” is not the name of a mail domain.") % {"domain": domain[:80]}) from err
    path = f"{local}@{domain}".encode()
    if len(path) > MAX_PATH:
        raise Unsendable(_("An e-mail address longer than 254 characters cannot be sent to."))
    return path


def encode_body(content: bytes) -> bytes:
    """Return the content with its dots doubled (RFC 5321 4.5.2) and its last line ended.

    Raises Unsendable for a lone CR or LF, which one server reads as the end of a line and the next does not (SMTP smuggling), and
    for a line over 998 bytes.
    """
    # No CR stands alone and there are as many LF: then no LF does either. (Counting CRLF takes three times as long.)
    if LONE_CR.search(content) or content.count(b"\r") != content.count(b"\n") or b"\0" in content:
        raise Unsendable(_("The mail holds a line end that mail servers read in different ways."))
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    start, size = 0, len(content)
    while start < size:
        # The last line end that a line starting here could have: each step takes as many lines as fit, not one.
        end = content.rfind(b"\r\n", start, start + MAX_LINE + 2)
        if end < 0:
            raise Unsendable(_("The mail would hold a line longer than mail servers take."))
        start = end + 2
    body = content.replace(b"\r\n.", b"\r\n..")
    return b"." + body if body.startswith(b".") else body
