"""A task that leaves a trace, for tests that ask whether the queue still does what it is given."""

from pathlib import Path


def leave(path: str) -> None:
    """Make an empty file."""
    Path(path).touch()
