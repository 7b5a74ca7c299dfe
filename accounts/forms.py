"""Forms of sign-in."""

from allauth.account.forms import LoginForm
from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm


class SignInForm(LoginForm):
    """E-mail and password."""


class ResetPasswordForm(AllauthResetPasswordForm):
    """E-mail."""
