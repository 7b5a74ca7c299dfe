"""Mails per second of our SMTP client against smtplib: one persistent connection, the same mail of 16 KB, the same sink, in turns.

smtplib is at its best here: the bytes are built before, nothing else is done. Ours writes a line to a file before each final dot,
as the outcome journal does. Sender and sink are pinned to one CPU: across two, waking up the other one costs more than the work,
and the ratio says what the scheduler did.
"""

import os
import smtplib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from bench._sink import Sink
from messaging.transports.base import Envelope
from messaging.transports.client import SmtpClient

ROUNDS = 60
MAILS = 100
LINE = b"Thank you for the tour of the workshop; here is what we spoke about.=20\r\n"
HEAD = b"From: ben@acme.test\r\nTo: anna@torvald.example\r\nSubject: Two answers\r\nMIME-Version: 1.0\r\n\r\n"
CONTENT = HEAD + LINE * ((16_300 - len(HEAD)) // len(LINE))
MAIL = Envelope("ben@acme.test", "anna@torvald.example", CONTENT)


def baseline(port: int) -> Callable[[], object]:
    """Return what sends one round by smtplib."""
    connection = smtplib.SMTP("127.0.0.1", port, local_hostname="plain.bench")
    connection.ehlo()

    def send() -> None:
        for _number in range(MAILS):
            connection.sendmail(MAIL.mail_from, [MAIL.rcpt_to], CONTENT)

    return send


def ours(port: int, name: str, journal: int) -> Callable[[], object]:
    """Return what sends one round by our client; `name` decides about PIPELINING."""
    client = SmtpClient("127.0.0.1", port, name=name, context=None)
    client.connect()

    def mark() -> None:
        os.write(journal, b"D 123456\n")

    def send() -> None:
        for number in range(MAILS):
            answer = client.send(MAIL, mark, MAIL if number < MAILS - 1 else None)
            assert answer.reply.code == 250

    return send


def seconds(send: Callable[[], object]) -> float:
    """Return how long one round takes."""
    begin = time.perf_counter()
    send()
    return time.perf_counter() - begin


def measure() -> tuple[list[float], list[float]]:
    """Return, for each round, how fast our client was in units of smtplib: plain, pipelined."""
    before = os.sched_getaffinity(0)
    processor = min(before)
    with tempfile.TemporaryFile() as journal, Sink(processor) as sink:
        os.sched_setaffinity(0, {processor})
        try:
            # Each round makes its own connection, outside the clock.
            ways = (
                lambda: baseline(sink.port),
                lambda: ours(sink.port, "plain.bench", journal.fileno()),
                lambda: ours(sink.port, "pipelined.bench", journal.fileno()),
            )
            times = [[seconds(way()) for way in ways] for _round in range(ROUNDS + 1)][1:]
        finally:
            os.sched_setaffinity(0, before)
    rates = [MAILS / statistics.median(column) for column in zip(*times, strict=True)]
    print("mails/s: smtplib {:.0f}, ours plain {:.0f}, ours pipelined {:.0f}".format(*rates))
    return [raw / plain for raw, plain, _fast in times], [raw / fast for raw, _plain, fast in times]


def run() -> dict[str, Any]:
    """Return the bench's lines: the medians of the ratios."""
    plain, pipelined = measure()
    line = {"unit": "ratio", "baseline": "raw smtplib, one persistent connection, same run", "better": "higher"}
    return {
        "smtp client mails/s, plain": line | {"value": round(statistics.median(plain), 2), "must": 1.0, "aim": 1.1},
        "smtp client mails/s, pipelined": line
        | {"value": round(statistics.median(pipelined), 2), "must": 1.3, "aim": 1.6},
    }
