"""django-allauth as Pitch uses it: local sign-in only, no self sign-up."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Closes sign-up (R370: accounts are made by administrators)."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up; administrators invite."""
        return False
