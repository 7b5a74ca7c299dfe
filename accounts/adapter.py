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
        """Send one of allauth's mails through the provider of the user's organization, with links on its host."""
        user = context.get("user")
        organization = getattr(user, "organization", None)
        context["organization"] = organization
        context["current_site"] = {"domain": urlsplit(base_url(organization)).netloc}
        address = context.get("password_reset_url")
        if address:
            # allauth builds it from the request; only our own configuration may name the host.
            context["password_reset_url"] = base_url(organization) + "/" + str(address).split("/", 3)[3]
        message = self.render_mail(template_prefix, email, context)
        message.organization = organization
        # A mail server that refuses must not tell who has an account: the backend logs it, the page says the same as ever.
        message.send(fail_silently=True)

    def reauthenticate(self, user: User, password: str) -> bool:
        """Say whether `password` is the signed-in user's own."""
        AuthenticationBackend.unstash_authenticated_user()
        return user.check_password(password)
