"""The application that holds what all pages share, and the dressed Django admin."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class PitchConfig(AppConfig):
    """Templates, template tags, management commands and system checks of the whole."""

    name = "pitch"

    def ready(self) -> None:
        """Register the system checks."""
        from pitch import checks  # noqa: F401  (registers on import)


class PitchAdminConfig(AdminConfig):
    """Django's admin with our own site class: who may enter, what the first page shows."""

    default_site = "pitch.admin_site.PitchAdminSite"
