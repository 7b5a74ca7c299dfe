"""Where the files of videos are: below MEDIA_ROOT, under random codes, never under a name somebody chose (A23)."""

import shutil
from pathlib import Path

from django.conf import settings

from videos.models import Upload, Video

RENDITION, POSTER, THUMBNAIL = "video.mp4", "poster.jpg", "thumbnail.jpg"


def root() -> Path:
    """Return the media folder."""
    return Path(settings.MEDIA_ROOT)


def absolute(path: str) -> Path:
    """Return the file of a stored path; raises ValueError for a path that leaves the media folder."""
    found = (root() / path).resolve()
    if not found.is_relative_to(root().resolve()):
        raise ValueError(f"{path!r} lies outside the media folder")
    return found


def folder_of(video: Video) -> Path:
    """Return the folder of a video's finished files (not made by this)."""
    return root() / "videos" / video.code[:2] / video.code


def work_folder_of(video: Video) -> Path:
    """Return the folder for files that are not finished yet (not made by this)."""
    return root() / "work" / video.code


def upload_path(upload: Upload) -> str:
    """Return the path, below the media folder, that an upload grows at."""
    return f"uploads/{upload.code}"


def relative(path: Path) -> str:
    """Return how a file's path is stored."""
    return path.relative_to(root()).as_posix()


def remove_files(video: Video) -> None:
    """Delete every file of a video: finished ones, half-finished ones, the original."""
    for folder in (folder_of(video), work_folder_of(video)):
        shutil.rmtree(folder, ignore_errors=True)
    for path in (video.original_path, video.video_path, video.poster_path, video.thumbnail_path):
        if path:
            absolute(path).unlink(missing_ok=True)
