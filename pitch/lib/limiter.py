"""The one limit on how often somebody may do something in a minute."""

import time

from django.core.cache import cache

WINDOW = 60


def too_many(name: str, who: str | int, limit: int) -> bool:
    """Count one more `name` by `who` and say whether that is more than `limit` in this minute.

    The minute is part of the key, so a new one starts at zero whatever the cache does with expiry times when it counts
    (Django's file cache writes each count back with five more minutes).

    Args:
        name: what is counted, like "recipient-search".
        who: a user's number or a hash of an address; personal data has no place in a cache's keys.
        limit: how many are fine.
    """
    key = f"limit:{name}:{who}:{int(time.time()) // WINDOW}"
    cache.add(key, 0, 2 * WINDOW)
    try:
        return cache.incr(key) > limit
    except ValueError:  # the cache dropped it between the two calls, to make room
        return False


def seconds_left() -> int:
    """Return when the next minute starts: what Retry-After says."""
    return WINDOW - int(time.time()) % WINDOW
