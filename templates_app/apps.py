"""Everything a mail or page looks like."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TemplatesAppConfig(AppConfig):
    """Configuration of the app."""

    name = "templates_app"
    verbose_name = _("Content")
