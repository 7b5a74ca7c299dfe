"""Recording, uploading, converting and serving videos."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VideosConfig(AppConfig):
    """Configuration of the app."""

    name = "videos"
    verbose_name = _("Videos")
