"""Make the demo's organization, user and local mail server, once; nothing that exists is changed."""

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Organization, Person, User
from accounts.services import organizations
from messaging.models import EmailProvider

PEOPLE = [
    ("Anna", "Torvald", "anna.torvald@torvald.example", "Torvald Wind"),
    ("Kofi", "Asante", "kofi.asante@asante.example", "Asante Foods"),
    ("Priya", "Raman", "priya.raman@raman.example", "Raman Labs"),
    ("Mara", "Lindqvist", "mara.lindqvist@acme.test", "Acme"),
]


class Command(BaseCommand):
    help = "Make the demo's organization acme, its user demo@acme.test and its local mail server. Demo mode only."

    def handle(self, *args: object, **options: object) -> None:
        if not settings.DEMO:
            raise CommandError("Demo data is made in demo mode only (PITCH_MODE=demo).")
        organization = Organization.objects.filter(slug="acme").first()
        if organization is None:
            organization = organizations.create(slug="acme", name="Acme", partner_id=4242)
        self.make_user(organization)
        if not EmailProvider.objects.for_organization(organization).exists():
            EmailProvider.objects.create(
                organization=organization,
                name="Local mailbox",
                host="127.0.0.1",
                port=settings.MAILBOX_PORT,
                security=EmailProvider.Security.NONE,
                from_address="pitch@acme.test",
                from_name="Acme",
                is_guarded=False,
            )
        # Ports may change between two starts of the demo; only its own loopback row follows.
        EmailProvider.objects.for_organization(organization).filter(
            name="Local mailbox", host="127.0.0.1", security=EmailProvider.Security.NONE
        ).exclude(port=settings.MAILBOX_PORT).update(port=settings.MAILBOX_PORT)
        for first, last, email, company in PEOPLE:
            Person.objects.get_or_create(
                organization=organization,
                user_id=email,
                defaults={"first_name": first, "last_name": last, "email": email, "company": company},
            )

    def make_user(self, organization: Organization) -> None:
        """Make demo@acme.test with a password that is made once and kept in PITCH_DATA/demo-password (0600)."""
        path = Path(settings.PITCH_DATA) / "demo-password"
        user = User.objects.for_organization(organization).filter(email_key="demo@acme.test").first()
        if user is not None and path.exists():
            return
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        if user is None:
            user = User(
                organization=organization,
                email="demo@acme.test",
                name="Demo Person",
                title="Customer Success",
                role=User.Role.ADMINISTRATOR,
            )
        user.set_password(password)
        user.save()
