"""Personal links of a delivery: its landing page and its opt-out page (design.md §5.10).

A token is bound to one purpose, so a landing link cannot unsubscribe anybody (abuse case A27).
"""

from django.urls import reverse

from accounts.services import hosts
from messaging.models import Delivery
from pitch.lib import signing

LANDING = "landing"
UNSUBSCRIBE = "unsubscribe"


def landing_url(delivery: Delivery) -> str:
    """Return the absolute address of this person's own page."""
    path = reverse("messaging:landing", args=[signing.sign(LANDING, delivery.code)])
    return hosts.base_url(delivery.organization) + path


def unsubscribe_url(delivery: Delivery) -> str:
    """Return the absolute address where this person opts out of the organization's personal mails."""
    path = reverse("messaging:unsubscribe", args=[signing.sign(UNSUBSCRIBE, delivery.code)])
    return hosts.base_url(delivery.organization) + path


def delivery_for(token: str, purpose: str) -> Delivery | None:
    """Return the delivery a token of this purpose belongs to; None for anything that was not signed for it."""
    code = signing.unsign(purpose, token)
    if code is None:
        return None
    return Delivery.objects.select_related("organization", "message").filter(code=code).first()
