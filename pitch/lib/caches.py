"""The cache without another service: files in the data folder, shared by the processes of one host."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.cache.backends.filebased import FileBasedCache


class FileCache(FileBasedCache):
    """Django's file cache, whose `add` and `incr` are two steps each; here nobody comes between them."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads and processes out."""
        folder = Path(self._dir)  # type: ignore[attr-defined]  # the stubs leave it out
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # gone with the file's closing
            yield

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """Set a key that has no value yet; return whether it was set."""
        with self.alone():
            return bool(super().add(*args, **kwargs))

    def incr(self, *args: Any, **kwargs: Any) -> int:
        """Add to a number and return the sum; raises ValueError for a key without a value."""
        with self.alone():
            return int(super().incr(*args, **kwargs))
