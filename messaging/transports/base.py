"""What every transport does: hand one mail for one address to a provider, and say truthfully what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Outcome(Enum):
    """What became of one try (messaging.md (c), reply classes)."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"  # the address or the mail was put off
    BOUNCED = "bounced"  # the address does not exist or takes nothing
    DROPPED = "dropped"  # refused by policy
    IMPOSSIBLE = "error"  # this server cannot carry this mail, which says nothing about the address
    LOST = "lost"  # the connection broke before the last dot: nothing was sent
    IN_DOUBT = "in_doubt"  # the connection broke after it: nobody knows


@dataclass(frozen=True)
class Result:
    """One try: outcome, the server's words as they came (cleaned), whether the address itself is dead."""

    outcome: Outcome
    code: int | None = None
    text: str = ""
    is_hard: bool = False
    retry_after: float | None = None


class ProviderStopped(Exception):
    """The provider cannot be used: nobody's attempt is burned. `permanent` means a person must change settings."""

    def __init__(self, sentence: str, *, permanent: bool, detail: str = "") -> None:
        super().__init__(sentence)
        self.permanent = permanent
        self.detail = detail


class SenderRefused(ProviderStopped):
    """The server takes nothing from this one sender; mails of others may go on.

    `address` is what MAIL FROM named; empty if the refusal came later and is about the author in From.
    """

    def __init__(self, sentence: str, *, permanent: bool, detail: str = "", address: str = "") -> None:
        super().__init__(sentence, permanent=permanent, detail=detail)
        self.address = address


class TooMany(ProviderStopped):
    """The server has too many connections or mails from us at once: fewer connections may be all it takes."""


@dataclass(frozen=True)
class Envelope:
    """Who the server is told: one sender, exactly one recipient (R375), the bytes."""

    mail_from: str
    rcpt_to: str
    content: bytes


class Transport(Protocol):
    """One open way to a provider."""

    def send(self, envelope: Envelope, before_dot: Callable[[], object], following: Envelope | None = None) -> Result:
        """Send one mail; `before_dot` is called when all of it but the final dot was written.

        If `before_dot` raises, the mail is not sent and the connection is dropped. `following` is the mail of the next call, if it
        is known: a transport may announce it already; then the next call is for exactly that one, or `abandon`.

        Raises ProviderStopped for everything that is not about this one address; nothing is announced then.
        """
        ...

    def abandon(self) -> None:
        """Take back the mail that was named as `following`; never raises."""
        ...

    def drop(self) -> None:
        """Forget a connection that is broken or in the middle of something; never raises."""
        ...

    def close(self) -> None:
        """End the connection politely; never raises."""
        ...
