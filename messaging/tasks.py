"""Tasks: wake-ups without data; running one twice sends nothing twice."""

from messaging.services import sending


def pump() -> int:
    """Send what is due."""
    return sending.pump()
