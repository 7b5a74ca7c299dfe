"""Mails per second over a line with a round trip of 20 ms: pumps on eight connections against smtplib on one, in the same run.

On a real line round trips decide and not the processor, so nothing is pinned here.
"""

from typing import Any

from django.db import connection
from django.test import override_settings

from bench._database import scratch
from bench._delay import Line
from bench._sink import Sink
from bench.pump import make_provider, send_pumped, send_raw

ROUND_TRIP = 0.02
CONNECTIONS = 8
RAW_MAILS = 60
MAILS = 2400


def run() -> dict[str, dict[str, Any]]:
    """Measure; see the module's docstring."""
    with (
        scratch(),
        override_settings(SMTP_ALLOW_PLAINTEXT=True),
        Sink() as sink,
        Line(sink.port, ROUND_TRIP) as line,
    ):
        provider = make_provider(line.port)
        provider.max_connections = CONNECTIONS
        provider.save()
        raw = send_raw(line.port, RAW_MAILS)
        pumped = send_pumped(provider, MAILS)
    baseline = (
        f"raw smtplib, one connection, {ROUND_TRIP * 1000:.0f} ms: {raw:.1f}/s; {CONNECTIONS} pumped {pumped:.0f}/s"
    )
    return {
        f"pump_20ms_{connection.vendor}": {
            "value": round(pumped / raw, 1), "unit": "times", "baseline": baseline, "must": 7.5, "aim": 14, "better": "higher",
        }
    }  # fmt: skip
