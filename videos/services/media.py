"""Addresses of a video's files: signed, so that they cannot be guessed, and expiring, so that they cannot be passed on (A42).

Only the mail's picture never expires: a mail may be read years later. It ends with the video.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from django.urls import reverse

from pitch.lib import signing
from videos import storage
from videos.models import Video

PURPOSE = "media"
SIX_HOURS = 6 * 3600
KINDS = {
    "video": ("video_path", "video/mp4", storage.RENDITION),
    "poster": ("poster_path", "image/jpeg", storage.POSTER),
    "thumbnail": ("thumbnail_path", "image/jpeg", storage.THUMBNAIL),
}


@dataclass(frozen=True)
class MediaFile:
    """A file that may be served now."""

    path: Path
    stored_path: str
    content_type: str
    etag: str


def media_url(video: Video, kind: str, *, seconds: int | None) -> str:
    """Return the path of one of a video's files; `seconds` of validity, None for ever.

    The end is rounded up to the next hour, so that a page that is opened again finds the file in its cache.
    """
    expires = 0 if seconds is None else (int(time.time()) + seconds + 3599) // 3600 * 3600
    mac = signing.sign_until(PURPOSE, f"{video.code}/{kind}", expires)
    return reverse("videos:media", args=[video.code, kind, expires, mac, KINDS[kind][2]])


def video_url(video: Video, *, seconds: int = SIX_HOURS) -> str:
    """Return the path of the MP4."""
    return media_url(video, "video", seconds=seconds)


def poster_url(video: Video, *, seconds: int = SIX_HOURS) -> str:
    """Return the path of the still."""
    return media_url(video, "poster", seconds=seconds)


def thumbnail_url(video: Video) -> str:
    """Return the path of the mail's picture; it works until the video is deleted."""
    return media_url(video, "thumbnail", seconds=None)


def find(code: str, kind: str, expires: int, mac: str) -> MediaFile | None:
    """Return the file behind a signed address; None if it was forged, has ended, or the video is gone."""
    if kind not in KINDS or not signing.check_until(PURPOSE, f"{code}/{kind}", expires, mac):
        return None
    video = Video.objects.kept().filter(code=code, state=Video.State.READY).first()
    if video is None:
        return None
    column, content_type, _name = KINDS[kind]
    stored = str(getattr(video, column))
    path = storage.absolute(stored)
    try:
        stat = path.stat()
    except OSError:
        return None
    return MediaFile(path, stored, content_type, f'"{video.code}-{stat.st_size:x}-{stat.st_mtime_ns:x}"')
