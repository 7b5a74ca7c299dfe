"""The one clock: what the worker's parent does again and again, each entry quick and safe to do twice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A function by dotted path, called without arguments every so many seconds."""

    name: str
    every: float
    call: str


SCHEDULES = (
    # Undo ends at a second of its own, so due rows are looked for every second (one indexed query).
    Schedule("wake the pumps", 1, "messaging.services.sending.nudge"),
    Schedule("recover lost leases", 15, "messaging.services.sending.recover"),
    Schedule("tell administrators of stops", 15, "messaging.services.telling.recover"),
    Schedule("take up lost conversions", 15, "videos.services.transcoding.recover"),
    Schedule("take up lost password resets", 15, "accounts.services.password_resets.recover"),
    Schedule("purge abandoned uploads", 3600, "videos.services.uploads.purge"),
    Schedule("trim finished tasks", 3600, "pitch.worker.trim"),
)
