"""Invite a user from the command line; prints the link."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization, User
from accounts.services import invitations
from pitch.lib.emails import BadAddress


class Command(BaseCommand):
    help = "Invite somebody into an organization and print the link (valid for 7 days). --send also mails it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, help="short name")
        parser.add_argument("--email", required=True)
        parser.add_argument("--role", choices=User.Role.values, default=User.Role.MEMBER)
        parser.add_argument("--send", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization “{options['organization']}”.")
        try:
            invitation = invitations.invite(organization, options["email"], role=options["role"])
        except (BadAddress, invitations.CannotInvite) as err:
            raise CommandError(str(err)) from err
        self.stdout.write(invitations.link(invitation))
        if options["send"]:
            try:
                invitations.send(invitation)
            except Exception as err:
                raise CommandError(f"The mail could not be sent ({err}). Hand over the link above yourself.") from err
