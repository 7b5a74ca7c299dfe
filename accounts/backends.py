"""Sign-in by organization, address and password."""

from allauth.account.auth_backends import AuthenticationBackend


class OrganizationBackend(AuthenticationBackend):
    """allauth's backend; replaced by the accounts part."""
