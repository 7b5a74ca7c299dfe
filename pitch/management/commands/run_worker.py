"""Run the worker: the queue's cluster, watched from outside, and the clock."""

import sys

from django.core.management.base import BaseCommand

from pitch.worker import Worker


class Command(BaseCommand):
    help = "Run the worker: sends mail, converts videos, keeps the schedules. Ends on SIGTERM."

    def handle(self, *args: object, **options: object) -> None:
        sys.exit(Worker().run())
