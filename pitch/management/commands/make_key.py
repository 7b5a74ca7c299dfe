"""Print a fresh key for PITCH_ENCRYPTION_KEYS."""

from django.core.management.base import BaseCommand

from pitch.lib.crypto import new_key


class Command(BaseCommand):
    help = "Print a fresh key for PITCH_ENCRYPTION_KEYS."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        self.stdout.write(new_key())
