"""The sweep: wakes pumps where something is due, and sets right what dead pumps left (called by pitch/schedules.py)."""

from django.core.cache import cache

from messaging.models import EmailProvider
from messaging.services import claims, pumps, recovery, slots
from pitch.lib.queue import wake

NUDGE_SECONDS = 5


def nudged(provider_id: int) -> str:
    """Return the cache key that says a pump was woken for a provider a moment ago."""
    return f"pump:nudged:{provider_id}"


def nudge() -> int:
    """Wake a pump for each provider that has something to send and a free connection (every second); returns how many."""
    claims.adopt()
    count = 0
    for provider in claims.waiting_providers():
        if slots.has_free(provider) and cache.add(nudged(provider.pk), 1, NUDGE_SECONDS):
            wake("messaging.tasks.pump", provider.pk, cluster="send")
            count += 1
    return count


def recover() -> int:
    """Recover the rows of dead pumps and give throttled servers another connection; returns how many rows."""
    slots.regain()
    return recovery.recover()


def pump(provider_id: int | None = None) -> int:
    """Send what is due through one provider, or through all of them; returns how many rows were tried."""
    recovery.recover()
    claims.adopt()
    count = 0
    for provider in claims.waiting_providers():
        if provider_id in (None, provider.pk):
            count += run_provider(provider)
    return count


def run_provider(provider: EmailProvider) -> int:
    """Run the pumps of one provider, and have another one woken if they ended with something left."""
    try:
        return pumps.run(provider)
    finally:
        cache.delete(nudged(provider.pk))
