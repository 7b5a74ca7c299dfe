"""Tasks: wake-ups without data; running one twice sends nothing twice."""

from messaging.services import sending, telling


def pump(provider_id: int | None = None) -> int:
    """Send what is due, through one provider or all."""
    return sending.pump(provider_id)


def tell() -> int:
    """Mail administrators about what has stopped."""
    return telling.tell()
