"""Signatures: one default per user, sanitised when it is saved (R418)."""

from accounts.models import User
from templates_app import sanitize
from templates_app.models import Signature


def default_for(user: User) -> Signature | None:
    """Return the signature that stands under the user's new messages, or None."""
    return Signature.objects.for_organization(user.organization).filter(owner=user, is_default=True).first()


def save_default(user: User, html: str) -> Signature:
    """Save the user's signature; what is not allowed in it is taken out."""
    assert user.organization is not None
    signature, _made = Signature.objects.update_or_create(
        owner=user,
        is_default=True,
        defaults={"organization": user.organization, "html": sanitize.from_editor(html)},
    )
    return signature
