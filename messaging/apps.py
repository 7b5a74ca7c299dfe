"""Messages, deliveries, transports, tracking, landing pages and opt-outs."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    """Configuration of the app."""

    name = "messaging"
    verbose_name = _("Sending")

    def ready(self) -> None:
        """Tell the library, which knows nobody above it, what deleting a video means for those it was sent to."""
        from messaging import consequences
        from videos.services import library

        if consequences.of_deleting_a_video not in library.consequences:
            library.consequences.append(consequences.of_deleting_a_video)
