"""Try the SMTP server of an organization from the command line and show the dialogue."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization
from messaging.services import providers
from pitch.lib.emails import BadAddress, normalize


class Command(BaseCommand):
    help = (
        "Connect to the SMTP server an organization's mails go through, sign in, and send a test mail to --to. "
        "Shows the dialogue without secrets and ends with a sentence; exit code 0 if it worked, else 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, help="short name")
        parser.add_argument(
            "--to", default="", metavar="ADDRESS", help="where to send a test mail; none: no mail is sent"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(
                f"There is no organization “{options['organization']}”; make it with create_organization."
            )
        provider = providers.resolve(organization)
        if provider is None:
            raise CommandError("No mail server is set up for this organization; set one with configure_smtp.")
        try:
            address = normalize(options["to"]) if options["to"] else ""
        except BadAddress as err:
            raise CommandError(str(err)) from err
        dialogue = providers.test(provider, address)
        for line in dialogue.lines:
            self.stdout.write(line)
        self.stdout.write(dialogue.sentence)
        if not dialogue.worked:
            raise SystemExit(1)
