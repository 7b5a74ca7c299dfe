"""What it looks like when the database or the broker is away for a moment."""

from django.db import DatabaseError
from redis.exceptions import RedisError

# redis' errors are no OSErrors, though most of them are about the network.
AWAY: tuple[type[Exception], ...] = (DatabaseError, OSError, RedisError)
