"""Set an organization's SMTP server from the command line (the contract's provisioning command)."""

import json
import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.models import Organization
from messaging.models import EmailProvider, ProviderLimit
from messaging.services import providers

MAX_CONNECTIONS = EmailProvider._meta.get_field("max_connections").default
SPANS = {span.name.lower(): span.value for span in ProviderLimit.Span}


def read_limits(given: list[str]) -> dict[int, int]:
    """Return limits like "30/minute" as seconds → mails. Raises CommandError."""
    found: dict[int, int] = {}
    for text in given:
        amount, _slash, span = text.partition("/")
        if span not in SPANS or not amount.isascii() or not amount.isdigit() or int(amount) < 1:
            raise CommandError(
                f"“{text}” is no limit. Write mails/span, the span one of {', '.join(SPANS)}: 30/minute."
            )
        if SPANS[span] in found:
            raise CommandError(f"There are two limits for one {span}; give one.")
        found[SPANS[span]] = int(amount)
    return found


class Command(BaseCommand):
    help = "Set the SMTP server an organization's mails go through; replaces the settings there were. Prints JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, help="short name")
        parser.add_argument("--host", required=True)
        parser.add_argument("--port", required=True, type=int)
        parser.add_argument("--security", required=True, choices=EmailProvider.Security.values)
        parser.add_argument("--ca-file", help="PEM file of the authority that signed the server's certificate")
        parser.add_argument("--user", default="")
        parser.add_argument("--password-env", metavar="VAR", help="environment variable that holds the password")
        parser.add_argument("--from", dest="from_address", default="", help="default sender address")
        parser.add_argument("--from-name", default="")
        parser.add_argument("--reply-to", default="")
        parser.add_argument("--reply-to-name", default="")
        parser.add_argument("--envelope-from", default="", help="address for bounces (MAIL FROM)")
        parser.add_argument(
            "--sender-mode",
            choices=EmailProvider.SenderMode.values,
            default=EmailProvider.SenderMode.SEND_AS.value,
            help="whose address people's mails come from; on-behalf and service need --from (docs/sending.md)",
        )
        parser.add_argument(
            "--max-connections",
            type=int,
            default=MAX_CONNECTIONS,
            help=f"connections at once (default {MAX_CONNECTIONS})",
        )
        parser.add_argument(
            "--limit",
            action="append",
            default=[],
            metavar="30/minute",
            help="how many mails it takes in a second, minute, hour or day; may be given several times",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(
                f"There is no organization “{options['organization']}”; make it with create_organization."
            )
        password = ""
        if options["password_env"]:
            password = os.environ.get(options["password_env"], "")
            if not password:
                raise CommandError(f"The environment variable {options['password_env']} is empty or not set.")
        ca_bundle = ""
        if options["ca_file"]:
            try:
                ca_bundle = Path(options["ca_file"]).read_text(encoding="utf-8").strip()
            except OSError as err:
                raise CommandError(f"The file {options['ca_file']} cannot be read: {err.strerror}.") from err
            except UnicodeDecodeError as err:
                raise CommandError(
                    f"The file {options['ca_file']} is no PEM text; convert it with openssl x509."
                ) from err
            if not ca_bundle:
                raise CommandError(f"The file {options['ca_file']} is empty; it must hold certificates as PEM text.")
        wanted = read_limits(options["limit"])
        try:
            with transaction.atomic():
                provider = providers.save_smtp(
                    organization,
                    host=options["host"],
                    port=options["port"],
                    security=options["security"],
                    ca_bundle=ca_bundle,
                    user=options["user"],
                    password=password,
                    from_address=options["from_address"],
                    from_name=options["from_name"],
                    reply_to_address=options["reply_to"],
                    reply_to_name=options["reply_to_name"],
                    envelope_from=options["envelope_from"],
                    sender_mode=options["sender_mode"],
                    max_connections=options["max_connections"],
                )
                providers.set_limits(provider, wanted)
        except ValidationError as err:
            raise CommandError(" ".join(err.messages)) from err
        for doubt in providers.doubts(provider):
            self.stderr.write(self.style.WARNING(doubt))
        self.stdout.write(
            json.dumps(
                {
                    "organization": organization.slug,
                    "provider": provider.code,
                    "host": provider.host,
                    "port": provider.port,
                    "security": provider.security,
                    "senderMode": provider.sender_mode,
                    "password": bool(provider.password),
                    "max_connections": provider.max_connections,
                    "limits": [
                        f"{amount}/{span}" for span, seconds in SPANS.items() if (amount := wanted.get(seconds))
                    ],
                }
            )
        )
