"""Mails per second of one pump (claim, fixed render, SMTP, durable result) against raw smtplib, in the same run.

One persistent connection each, the same sink, 16 kB prebuilt, in turns. Sender and sink share one processor: across processors
the wake-ups of the kernel decide, and the ratio can lie by two (messaging.md (e)).
"""

import os
import smtplib
import statistics
import time
from typing import Any

from django.db import connection
from django.test import override_settings
from django.utils import timezone

from bench._database import scratch
from bench._sink import Sink

MAILS = 1500
ROUNDS = 5
LINE = b"A line of sixty-eight letters that fills a mail as a template would do it.\r\n"
CONTENT = (
    b"From: Alice <alice@acme.test>\r\nTo: someone@bench.example\r\nSubject: Bench\r\nMIME-Version: 1.0\r\n"
    b"Message-ID: <1@acme.test>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + LINE * 215
)


def make_provider(port: int) -> Any:
    """Make an organization with a provider that names the sink."""
    from accounts.models import Organization, User
    from messaging.models import EmailProvider

    acme = Organization.objects.create(
        slug="acme", name="Acme", partner_id=4242, admin_secrets=["s"], user_secrets=["t"]
    )
    User.objects.create_user("alice@acme.test", organization=acme, name="Alice")
    return EmailProvider.objects.create(
        organization=acme, host="127.0.0.1", port=port, security="none", is_guarded=False, max_connections=1
    )


def queue(provider: Any, count: int) -> None:
    """Queue a bulk of `count` mails."""
    from accounts.models import User
    from messaging.models import Delivery, Message

    now = timezone.now()
    message = Message.objects.create(
        organization=provider.organization, sender=User.objects.get(), status="sending", send_after=now, subject="Bench"
    )
    rows = [
        Delivery(
            organization=provider.organization, message=message, position=n, address=f"p{n}@bench.example",
            address_key=f"p{n}@bench.example", priority=10, provider=provider, next_at=now, date=now,
            internet_message_id=f"<{n}@acme.test>",
        )
        for n in range(count)
    ]  # fmt: skip
    Delivery.objects.bulk_create(rows, batch_size=500)


def send_raw(port: int, count: int) -> float:
    """Return mails per second of smtplib over one connection."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="bench.example") as client:
        client.ehlo()
        begun = time.perf_counter()
        for n in range(count):
            client.sendmail("alice@acme.test", [f"p{n}@bench.example"], CONTENT)
        return count / (time.perf_counter() - begun)


def send_pumped(provider: Any, count: int) -> float:
    """Return mails per second of one pump."""
    from messaging.services import pumps
    from messaging.transports.base import Envelope

    queue(provider, count)
    begun = time.perf_counter()
    sent = pumps.run(provider, render=lambda row, provider: Envelope("alice@acme.test", row.address, CONTENT))
    took = time.perf_counter() - begun
    assert sent == count, f"{sent} of {count}"
    return count / took


def run() -> dict[str, dict[str, Any]]:
    """Measure; see the module's docstring."""
    processor = min(os.sched_getaffinity(0))
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        with scratch(), override_settings(SMTP_ALLOW_PLAINTEXT=True), Sink(processor) as sink:
            provider = make_provider(sink.port)
            pairs = [(send_raw(sink.port, MAILS), send_pumped(provider, MAILS)) for _round in range(ROUNDS)]
    finally:
        os.sched_setaffinity(0, allowed)
    ratio = statistics.median(pumped / raw for raw, pumped in pairs)
    raw, pumped = (statistics.median(column) for column in zip(*pairs, strict=True))
    must, aim = (0.65, 1.3) if connection.vendor == "postgresql" else (0.75, 1.5)
    baseline = f"raw smtplib, one connection, same sink and processor: {raw:.0f}/s; one pump {pumped:.0f}/s"
    return {
        f"pump_{connection.vendor}": {
            "value": round(ratio, 2), "unit": "ratio", "baseline": baseline, "must": must, "aim": aim, "better": "higher",
        }
    }  # fmt: skip
