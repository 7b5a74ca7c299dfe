"""Make an organization, or update it and add secrets (the contract's provisioning command)."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization
from accounts.services import organizations


class Command(BaseCommand):
    help = "Make an organization; one that exists gets the name and partner id, and the secrets are added. Prints JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--slug", required=True, help="short name, part of the address")
        parser.add_argument("--name", required=True)
        parser.add_argument("--partner-id", required=True, type=int)
        parser.add_argument("--admin-secret", default="", help="secret of ADMIN sessions; kept encrypted")
        parser.add_argument("--user-secret", default="", help="secret of USER sessions; kept encrypted")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["slug"]).first()
        try:
            if organization is None:
                organization = organizations.create(
                    slug=options["slug"], name=options["name"], partner_id=options["partner_id"]
                )
                made = True
            else:
                organizations.update(organization, name=options["name"], partner_id=options["partner_id"])
                made = False
        except ValidationError as err:
            raise CommandError(" ".join(err.messages)) from err
        organization = organizations.add_secrets(
            organization, admin=options["admin_secret"], user=options["user_secret"]
        )
        self.stdout.write(
            json.dumps(
                {
                    "slug": organization.slug,
                    "name": organization.name,
                    "partnerId": organization.partner_id,
                    "code": organization.code,
                    "appGuid": organizations.ensure_default_app(organization).code,
                    "created": made,
                    "adminSecrets": len(organization.admin_secrets),
                    "userSecrets": len(organization.user_secrets),
                }
            )
        )
