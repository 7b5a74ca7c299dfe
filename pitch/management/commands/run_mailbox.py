"""Run the demo's local mail server."""

import asyncio
import signal
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from pitch.mailbox.server import serve


class Command(BaseCommand):
    help = "Run the local mail server of the demo: it keeps what it gets below PITCH_DATA/mailbox."

    def handle(self, *args: object, **options: object) -> None:
        if not settings.DEMO:
            raise CommandError("The local mailbox exists in demo mode only (PITCH_MODE=demo).")

        async def main() -> None:
            task = asyncio.ensure_future(serve(Path(settings.PITCH_DATA) / "mailbox", settings.MAILBOX_PORT))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
            try:
                await task
            except asyncio.CancelledError:
                return

        asyncio.run(main())
