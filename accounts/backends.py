"""Sign-in by organization, address and password: the same address in two organizations is two users."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.models import User
from pitch.lib.emails import BadAddress, address_key


def matching_users(request: HttpRequest | None, email: str, password: str) -> list[User]:
    """Return the active users whose address is `email` and whose password is `password`.

    On an organization's own host only its users count; elsewhere users of all organizations and operators do. A password is
    hashed at least once, so that an unknown address takes as long as a wrong password.
    """
    try:
        key = address_key(email)
    except BadAddress:
        key = ""
    found = User.objects.select_related("organization").filter(email_key=key, is_active=True)
    named = getattr(request, "organization", None)
    if named is not None:
        found = found.filter(organization=named)
    candidates = [user for user in found if user.organization is None or user.organization.is_active] if key else []
    if not candidates:
        User().set_password(password)
    return [user for user in candidates if user.check_password(password)]


def organization_choice(user: User) -> str:
    """Return what names the user's organization in the sign-in form: its slug, or "-" (no slug) for an operator."""
    return user.organization.slug if user.organization else "-"


class OrganizationBackend(ModelBackend):
    """Authenticates by `email`, `password` and, when several organizations fit, `organization` (a slug)."""

    def authenticate(  # type: ignore[override]
        self,
        request: HttpRequest | None,
        email: str = "",
        password: str = "",
        organization: str = "",
        **credentials: Any,
    ) -> User | None:
        """Return the one user who fits, or None: nobody fits, or several do and `organization` names none of them."""
        if not email or not password:
            return None
        users = matching_users(request, email, password)
        if organization:
            users = [user for user in users if organization_choice(user) == organization]
        return users[0] if len(users) == 1 else None

    def user_can_authenticate(self, user: Any) -> bool:
        """Say whether a session of `user` is still good: deactivating the user or the organization ends it at once."""
        organization = getattr(user, "organization", None)
        return super().user_can_authenticate(user) and (organization is None or organization.is_active)

    def get_user(self, user_id: Any) -> User | None:
        """Return the user of a session with the organization in the same query."""
        user = User.objects.select_related("organization").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
