"""Seconds to open the admin's lists, its first page, Sending and /metrics, with 1,000,000 rows of each kind on SQLite.

While they are opened, a bulk of 150,000 waits, and 10,000 mails were refused yesterday.
"""

import os
import random
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

ROWS = int(os.environ.get("BENCH_DELIVERIES", "1000000"))
ORGANIZATIONS = 20
BATCH = 5_000
WAITING, REFUSED = 150_000, 10_000
MUST_LIST, MUST_INDEX, MUST_SENDING = 0.5, 1.0, 0.5
TOKEN = "token-of-the-bench"


def fill() -> Any:
    """Make the rows; returns an operator."""
    from accounts.models import Organization, User
    from messaging.models import Delivery, EmailProvider, Message
    from pitch.lib.fields import new_code

    dice = random.Random(4242)
    begin = timezone.now() - timedelta(days=365)
    messages = []
    for number in range(ORGANIZATIONS):
        organization = Organization.objects.create(
            slug=f"o{number}", name=f"Organization {number}", partner_id=number + 1
        )
        user = User.objects.create_user(
            f"ben@o{number}.test", organization=organization, name="Ben", role="administrator"
        )
        for mail in range(50):
            fields = {"subject": f"Message {mail}", "status": "completed", "send_after": begin, "sent_at": begin}
            messages.append(Message.objects.create(organization=organization, sender=user, **fields))
    states = ["accepted"] * 960 + ["bounced"] * 30 + ["dropped"] * 8 + ["deferred", "in_doubt"]
    for start in range(0, ROWS, BATCH):
        rows = []
        for number in range(start, min(ROWS, start + BATCH)):
            message = messages[number % len(messages)]
            moment = begin + timedelta(days=365) * (number / ROWS)
            state = dice.choice(states)
            address = f"person{number}@example.test"
            rows.append(
                Delivery(
                    organization_id=message.organization_id,
                    message=message,
                    code=new_code(),
                    name=f"Person {number}",
                    address=address,
                    address_key=address,
                    state=state,
                    next_at=moment,
                    date=moment,
                    internet_message_id=f"<{number}@bench.test>",
                    accepted_at=moment if state == "accepted" else None,
                    finished_at=moment,
                    played_at=moment if number % 3 == 0 else None,
                )
            )
        Delivery.objects.bulk_create(rows)
    fill_accounts(dice)
    organization = Organization.objects.get(slug="o3")
    provider = EmailProvider.objects.create(organization=organization, host="smtp.bench.test")
    bulk = Message.objects.create(organization=organization, kind="api", status="sending", send_after=begin)
    now = timezone.now()
    for start in range(0, min(ROWS, WAITING + REFUSED), BATCH):
        Delivery.objects.bulk_create(
            Delivery(
                organization=organization,
                message=bulk,
                address=f"bulk{number}@example.test",
                address_key=f"bulk{number}@example.test",
                provider=provider,
                priority=10,
                next_at=now,
                date=now,
                internet_message_id=f"<bulk{number}@bench.test>",
                state="bounced" if number >= WAITING else "queued",
                finished_at=now - timedelta(days=1) if number >= WAITING else None,
                reply_code=550 if number >= WAITING else None,
                reply_text=f"5.1.1 <bulk{number}@example.test>: no such user here" if number >= WAITING else "",
            )
            for number in range(start, start + BATCH)
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return User.objects.create_superuser("root@pitch.test", name="Root")


def fill_accounts(dice: random.Random) -> None:
    """Make as many people and audit entries."""
    from accounts.models import AuditEntry, Organization, Person
    from pitch.lib.fields import new_code

    # One organization has half of everything: its administrator must not wait longer than others.
    numbers = list(Organization.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, ROWS, BATCH):
        people, entries = [], []
        for number in range(start, min(ROWS, start + BATCH)):
            organization = numbers[3] if number % 2 else numbers[number // 2 % len(numbers)]
            address = f"person{number}@example.test"
            name = f"Person {dice.randrange(ROWS)}"
            people.append(
                Person(
                    organization_id=organization,
                    user_id=str(number),
                    full_name=name,
                    email=address,
                    address_key=address,
                )
            )
            entries.append(
                AuditEntry(
                    organization_id=organization,
                    code=new_code(),
                    actor_label=f"ben@o{number % ORGANIZATIONS}.test",
                    action="user invited",
                    target=address,
                )
            )
        Person.objects.bulk_create(people)
        AuditEntry.objects.bulk_create(entries)


def seconds(client: Client, address: str, **headers: str) -> float:
    """Return the median of seven looks at one page, after a first one."""
    taken = []
    for _look in range(8):
        begin = time.perf_counter()
        assert client.get(address, headers=headers).status_code == 200
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def measure() -> dict[str, float]:
    """Return the seconds of each page."""
    from accounts.models import User

    root = fill()
    found = {}
    for who, user in (("operator", root), ("administrator", User.objects.get(email="ben@o3.test"))):
        client = Client()
        client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
        found[f"deliveries, {who}"] = seconds(client, "/admin/messaging/delivery/")
        found[f"one address, {who}"] = seconds(client, "/admin/messaging/delivery/?q=person777003%40example.test")
        found[f"in doubt, {who}"] = seconds(client, "/admin/messaging/delivery/?state__exact=in_doubt")
        found[f"people, {who}"] = seconds(client, "/admin/accounts/person/")
        found[f"audit, {who}"] = seconds(client, "/admin/accounts/auditentry/")
        found[f"audit of one address, {who}"] = seconds(
            client, "/admin/accounts/auditentry/?q=person777003%40example.test"
        )
        found[f"audit words, {who}"] = seconds(client, "/admin/accounts/auditentry/?q=nowhere")
        found[f"first page, {who}"] = seconds(client, "/admin/")
        found[f"Sending, {who}"] = seconds(client, "/admin/sending/")
    found["Sending, /metrics"] = seconds(Client(), "/metrics", Authorization=f"Bearer {TOKEN}")
    return found


def run() -> dict[str, Any]:
    """Return the bench's lines; works in a SQLite file of its own below PITCH_DATA, which is removed afterwards."""
    if connection.vendor != "sqlite":
        print("admin_million measures SQLite; DATABASE_URL names another database, so nothing was measured.")
        return {}
    storage = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    with tempfile.TemporaryDirectory(prefix="bench-", dir=Path(settings.PITCH_DATA)) as folder:
        connection.settings_dict.setdefault("TEST", {})["NAME"] = f"{folder}/million.sqlite3"
        name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
        try:
            with override_settings(
                STORAGES=storage,
                ALLOWED_HOSTS=["*"],
                METRICS_TOKEN=TOKEN,
                PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
            ):
                found = measure()
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)
            connection.settings_dict["TEST"]["NAME"] = None
    for page, value in found.items():
        print(f"{page}: {value * 1000:.0f} ms")
    watching = max(value for page, value in found.items() if page.startswith("Sending"))
    lists = max(value for page, value in found.items() if not page.startswith(("first page", "Sending")))
    firsts = max(value for page, value in found.items() if page.startswith("first page"))
    common = {"unit": "seconds", "baseline": f"{ROWS} of each on SQLite, slowest of the looks", "better": "lower"}
    return {
        "admin lists": common | {"value": round(lists, 3), "must": MUST_LIST, "aim": 0.2},
        "admin first page": common | {"value": round(firsts, 3), "must": MUST_INDEX, "aim": 0.3},
        "admin page Sending": common | {"value": round(watching, 3), "must": MUST_SENDING, "aim": 0.2},
    }
