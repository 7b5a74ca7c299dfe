"""Where settings made in a browser or by the API may connect to (abuse cases A3, A4).

Python's own idea of a public address is too generous (security.md §5), so its gaps are closed here. Every address of a name is
checked, and those that were checked are those that are connected to.
"""

import ipaddress
import socket

from django.conf import settings
from django.utils.translation import gettext as _

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Public in Python's eyes, but leading inside: NAT64, 6to4, IPv4-compatible, 6to4 relay.
INSIDE = [ipaddress.ip_network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "::/96", "192.88.99.0/24")]


class Forbidden(Exception):
    """A host or port may not be used; the message says what the operator can change."""


def is_public(address: Address) -> bool:
    """Say whether an address is out in the internet."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(mapped)
    return address.is_global and not address.is_multicast and not any(address in network for network in INSIDE)


def check_port(port: int) -> None:
    """Raise Forbidden for a port that is not one of SMTP_ALLOWED_PORTS."""
    if port not in settings.SMTP_ALLOWED_PORTS:
        allowed = ", ".join(str(number) for number in settings.SMTP_ALLOWED_PORTS)
        raise Forbidden(
            _("Port %(port)d is not allowed for mail here; use one of %(allowed)s.")
            % {"port": port, "allowed": allowed}
        )


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses to try in turn, after checking every one the name has.

    Raises Forbidden if one of them is inside and not in SMTP_ALLOWED_NETWORKS, OSError if the name is unknown.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
    for address in addresses:
        if not is_public(address) and not any(address in network for network in settings.SMTP_ALLOWED_NETWORKS):
            raise Forbidden(
                _(
                    "The mail server %(host)s stands in a network that is not allowed here. "
                    "The operator can add it to SMTP_ALLOWED_NETWORKS."
                )
                % {"host": host}
            )
    return list(dict.fromkeys(str(address) for address in addresses))
