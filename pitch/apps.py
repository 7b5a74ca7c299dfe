"""The application that holds what all pages share, and the dressed Django admin."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class PitchConfig(AppConfig):
    """Templates, template tags, management commands and system checks of the whole."""

    name = "pitch"

    def ready(self) -> None:
        """Register the system checks, and the signs of life of queue processes."""
        from pitch import checks  # noqa: F401  (registers on import)
        from pitch.lib import signs

        if signs.folder() is not None:
            signs.connect()


class PitchAdminConfig(AdminConfig):
    """Django's admin with our own site class: who may enter, what the first page shows."""

    default_site = "pitch.admin_site.PitchAdminSite"
