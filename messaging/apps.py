"""Messages, deliveries, transports, tracking, landing pages and opt-outs."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    """Configuration of the app."""

    name = "messaging"
    verbose_name = _("Sending")
