"""Make an operator from the command line: the first one of an installation has nobody to invite him."""

import getpass
import os
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from accounts.models import User
from pitch.lib.emails import BadAddress, normalize


class Command(BaseCommand):
    help = "Make an operator: somebody who sees all organizations and belongs to none. Asks for the password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="")
        parser.add_argument("--password-env", metavar="VAR", help="environment variable that holds the password")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User(email=normalize(options["email"]), name=options["name"])
            password = self.password(options["password_env"])
            validate_password(password, user)
            with transaction.atomic():
                User.objects.create_superuser(user.email, password, name=user.name)
        except BadAddress as err:
            raise CommandError(str(err)) from err
        except ValidationError as err:
            raise CommandError(" ".join(err.messages)) from err
        except IntegrityError as err:
            raise CommandError(f"There is an operator with the address {user.email} already.") from err
        self.stdout.write(f"{user.email} is an operator now and can sign in.")

    def password(self, variable: str | None) -> str:
        """Return the password from the environment, or ask for it twice."""
        if variable:
            password = os.environ.get(variable, "")
            if not password:
                raise CommandError(f"The environment variable {variable} is empty or not set.")
            return password
        if not sys.stdin.isatty():
            raise CommandError("Nobody can be asked for a password here. Put it into a variable: --password-env VAR")
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Once more: "):
            raise CommandError("The two passwords are not the same. Nothing was made.")
        return password
