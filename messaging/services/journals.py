"""The outcome journal of a pump: what it was doing when it was killed.

One file for each lease below PITCH_DATA/journal. A line is written just before the final dot of a mail ("D <delivery>"), another
when the reply is there ("R <delivery> <reply as JSON>"). One write() each and no fsync: what a killed process wrote stays, because
the kernel has it. The file is emptied only after the results are committed. So a row with an R has that result, one with a D and
no R is in doubt, and one without either was never sent (messaging.md (c)).
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from messaging.services import leases
from messaging.transports.base import Outcome, Result


@dataclass(frozen=True)
class Marks:
    """What a journal says: the rows whose final dot may have gone out, and the results of those that were answered."""

    dotted: frozenset[int]
    results: dict[int, Result]


def folder() -> Path:
    """Return where the journals of this host are."""
    return Path(settings.PITCH_DATA) / "journal"


def path_of(lease: str) -> Path:
    """Return the journal of a lease; its name is the lease with what file names bear."""
    return folder() / (lease.replace("|", "+").replace("/", "_") + ".log")


class Journal:
    """A journal being written by the one who holds the lease."""

    def __init__(self, lease: str) -> None:
        folder().mkdir(parents=True, exist_ok=True)
        self.path = path_of(lease)
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def dot(self, pk: int) -> None:
        """Say that the final dot of a mail goes out now. Raises OSError: without the mark it must not."""
        os.write(self.file, b"D %d\n" % pk)

    def reply(self, pk: int, result: Result) -> None:
        """Say what the server answered."""
        words = [result.outcome.value, result.code, result.text, result.is_hard, result.retry_after]
        os.write(self.file, b"R %d %b\n" % (pk, json.dumps(words).encode()))

    def clear(self) -> None:
        """Forget everything: it is committed."""
        os.ftruncate(self.file, 0)

    def close(self) -> None:
        """Remove the file; everything in it is committed."""
        os.close(self.file)
        self.path.unlink(missing_ok=True)


def read(lease: str) -> Marks | None:
    """Return what the journal of a lease says; None if this host has none."""
    try:
        lines = path_of(lease).read_bytes().split(b"\n")
    except OSError:
        return None
    dotted, results = set(), {}
    # The last piece is empty, or a line that was cut off by the kill; a reply that was cut off is a doubt.
    for line in lines[:-1]:
        kind, _space, rest = line.partition(b" ")
        number, _space, words = rest.partition(b" ")
        if not number.isdigit():
            continue
        dotted.add(int(number))
        if kind == b"R":
            with contextlib.suppress(ValueError):
                results[int(number)] = _result(words)
    return Marks(frozenset(dotted), results)


def _result(words: bytes) -> Result:
    outcome, code, text, is_hard, retry_after = json.loads(words)
    return Result(Outcome(outcome), code, text, is_hard, retry_after)


def remove(lease: str) -> None:
    """Forget the journal of a lease that was recovered."""
    path_of(lease).unlink(missing_ok=True)


def left_behind() -> Iterator[str]:
    """Yield the leases whose journals lie here although their holders are gone."""
    if folder().is_dir():
        for file in folder().glob("*.log"):
            lease = file.stem.replace("+", "|")
            if leases.is_dead(lease):
                yield lease
