"""Organizations, people, sign-in, mailbox connections."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Configuration of the app."""

    name = "accounts"
    verbose_name = _("People")
