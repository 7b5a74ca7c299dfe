"""django-allauth as Pitch uses it: local sign-in only, no self sign-up, mails through the organization's provider."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from django.http import HttpRequest

from accounts.models import User
from accounts.services.hosts import base_url


class AccountAdapter(DefaultAccountAdapter):
    """Closes sign-up (R370: accounts are made by administrators) and names the organization in mails."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up; administrators invite."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one of allauth's mails through the provider of the user's organization, naming its host."""
        user = context.get("user")
        organization = getattr(user, "organization", None)
        context["organization"] = organization
        context["current_site"] = {"domain": urlsplit(base_url(organization)).netloc}
        message = self.render_mail(template_prefix, email, context)
        message.organization = organization
        message.send(fail_silently=True)  # one that cannot be sent must not hold up the next; the backend logs it

    def set_password(self, user: User, password: str) -> None:
        """Set a password and end a lock-out of the address, which allauth does only for addresses in its own table."""
        super().set_password(user, password)
        self._delete_login_attempts_cached_email(self.request, email=user.email)

    def reauthenticate(self, user: User, password: str) -> bool:
        """Say whether `password` is the signed-in user's own."""
        AuthenticationBackend.unstash_authenticated_user()
        return user.check_password(password)
