"""Encryption at rest: secrets are kept as Fernet tokens under PITCH_ENCRYPTION_KEYS.

The first key encrypts, all decrypt, so a key is changed by putting a new one in front and running
`manage.py rotate_encryption_keys`. A value that no key opens raises `WrongKey`: it never turns into an empty secret.
"""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class WrongKey(Exception):
    """A stored secret cannot be opened with any of PITCH_ENCRYPTION_KEYS."""


def new_key() -> str:
    """Return a fresh key for PITCH_ENCRYPTION_KEYS (44 characters, URL-safe base64 of 32 random bytes)."""
    return Fernet.generate_key().decode()


@lru_cache(maxsize=8)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(plain: str) -> str:
    """Return `plain` as a token that only `decrypt` opens; two calls give two tokens."""
    return _box(tuple(settings.PITCH_ENCRYPTION_KEYS)).encrypt(plain.encode()).decode()


def decrypt(token: str) -> str:
    """Return what `encrypt` was given; raises WrongKey if none of the keys opens the token."""
    try:
        return _box(tuple(settings.PITCH_ENCRYPTION_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken as err:
        raise WrongKey(
            "A stored secret cannot be opened with PITCH_ENCRYPTION_KEYS. Put the key it was stored under back into the list."
        ) from err


def rotate(token: str) -> str:
    """Return the same secret under the first key; raises WrongKey as `decrypt` does."""
    return encrypt(decrypt(token))
