"""From what arrived to what plays everywhere: MP4 with H.264 and AAC, a poster, the mail's picture.

A recording in VP8 or VP9 is encoded while it arrives (`follow`), so that after Stop little is left to do. H.264 is copied, which is
quick enough to do at the end. If a follower dies or never ran, `convert` does everything from the kept original.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from pitch.lib.queue import wake
from videos import ffmpeg, pictures, storage
from videos.models import Video

log = logging.getLogger(__name__)

LONG_SIDE = 1280
MAX_ATTEMPTS = 3
# Restarts of the worker are no fault of the video: a conversion that was cut off is begun anew more often than one that failed.
MAX_STARTS = 10
# Of what a copied recording may differ between picture and sound before it is encoded anew (size changes mid-stream).
MAX_DRIFT_MS = 500
PERMANENT = (
    "Invalid data found",
    "moov atom not found",
    "EBML header parsing failed",
    "does not contain any stream",
    "Output file is empty",
    "Nothing was written",
    "Conversion failed",
)


class Busy(Exception):
    """Another process works on this video."""


@contextmanager
def hold(video: Video) -> Iterator[Path]:
    """Hold a video's work folder for this process; raises Busy. The kernel lets go when the process dies."""
    folder = storage.work_folder_of(video)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise Busy from err
        yield folder


def max_seconds(video: Video) -> int:
    """Return how long this video may be."""
    own = video.organization.video_max_seconds
    return min(own, settings.VIDEO_MAX_SECONDS) if own else int(settings.VIDEO_MAX_SECONDS)


def target_size(width: int, height: int) -> tuple[int, int]:
    """Return the even size a picture gets: the long side at most 1280, never enlarged."""
    scale = min(1.0, LONG_SIDE / max(width, height))
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def picture_options(facts: ffmpeg.Facts) -> list[str]:
    """Return the options that encode the picture; the size stays the same even if the recording's changes."""
    width, height = target_size(facts.width, facts.height)
    fit = f"scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:-1:-1,setsar=1"
    quality = ["-preset", "veryfast", "-crf", "23", "-maxrate", "1800k", "-bufsize", "3600k", "-pix_fmt", "yuv420p"]
    return ["-vf", fit, "-fpsmax", "30", "-c:v", "libx264", *quality]


def output_options(video: Video) -> list[str]:
    """Return the options every output has: one picture, one sound, no metadata, a length that cannot run away."""
    streams = ["-map", "0:v:0", "-map", "0:a:0?", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]
    return [*streams, "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000", "-t", str(max_seconds(video) + 2)]


def can_copy(facts: ffmpeg.Facts) -> bool:
    """Say whether the picture may be taken as it is: H.264 that plays everywhere, not too large, upright."""
    small = max(facts.width, facts.height) <= 1920 and facts.width % 2 == 0 and facts.height % 2 == 0
    return (
        facts.video_codec == "h264" and facts.pixel_format in {"yuv420p", "yuvj420p"} and small and not facts.is_rotated
    )


def convert(video_id: int) -> None:
    """Convert a video whose file is complete; safe to call twice, and while somebody else converts it."""
    video = Video.objects.select_related("organization").filter(pk=video_id).first()
    if video is None or video.state != Video.State.PROCESSING or video.deleted_at is not None:
        return
    try:
        with hold(video) as folder:
            Video.objects.filter(pk=video.pk).update(attempts=F("attempts") + 1, updated_at=timezone.now())
            video.refresh_from_db()
            if video.state == Video.State.PROCESSING:
                convert_held(video, folder)
    except Busy:
        return


def convert_held(video: Video, folder: Path) -> None:
    """Convert a video that this process holds; a failure ends on the row as a sentence."""
    original = storage.absolute(video.original_path)
    rendition = folder / storage.RENDITION
    try:
        facts = ffmpeg.look_at(original)
        check_length(video, facts.duration_ms)
        encode(video, facts, original, rendition)
        publish(video, rendition, folder)
    except ffmpeg.NotAVideo as err:
        fail(video, str(err))
    except (ffmpeg.FfmpegFailed, OSError) as err:
        log.warning("Converting video %s failed: %s", video.code, err)
        permanent = any(words in str(err) for words in PERMANENT)
        if permanent or video.attempts >= MAX_ATTEMPTS:
            sentence = "This video could not be converted: the file is damaged or uses a format Pitch cannot read."
            fail(video, sentence, keeps_original=not permanent)


def check_length(video: Video, duration_ms: int | None) -> None:
    """Raise NotAVideo if the video is longer than allowed."""
    limit = max_seconds(video)
    if duration_ms is not None and duration_ms > (limit + 1) * 1000:
        raise ffmpeg.NotAVideo(
            f"This video is {pictures.length_text(duration_ms)} long; at most {pictures.length_text(limit * 1000)} is allowed here."
        )


def encode(video: Video, facts: ffmpeg.Facts, original: Path, rendition: Path) -> None:
    """Write the MP4: copy the picture where that is safe, encode it where not. Raises FfmpegFailed."""
    seconds = 60 + 4 * max_seconds(video)
    tail = ["-movflags", "+faststart", "-f", "mp4", str(rendition)]
    if can_copy(facts):
        ffmpeg.run([*ffmpeg.source(original), *output_options(video), "-c:v", "copy", *tail], seconds=seconds)
        picture, sound = ffmpeg.stream_lengths(rendition, seconds=60)
        if picture and (not facts.has_audio or abs(picture - sound) <= MAX_DRIFT_MS):
            return
    Video.objects.filter(pk=video.pk).update(progress=10, updated_at=timezone.now())
    ffmpeg.run([*ffmpeg.source(original), *output_options(video), *picture_options(facts), *tail], seconds=seconds)


def publish(video: Video, rendition: Path, folder: Path) -> None:
    """Measure the finished MP4, make its pictures, put all in place and say ready; then the original goes."""
    facts = ffmpeg.look_at(rendition)
    check_length(video, facts.duration_ms)
    duration = facts.duration_ms or 0
    if duration < 200:
        raise ffmpeg.NotAVideo("This video is shorter than a blink. Record it again.")
    still = folder / "still.png"
    moment = min(1.0, duration / 2000)
    ffmpeg.run(
        ["-ss", f"{moment:.2f}", *ffmpeg.source(rendition), "-frames:v", "1", "-update", "1", str(still)], seconds=60
    )
    pictures.make_poster(still, folder / storage.POSTER)
    pictures.make_thumbnail(still, folder / storage.THUMBNAIL, duration)
    home = storage.folder_of(video)
    home.mkdir(parents=True, exist_ok=True)
    for name in (storage.RENDITION, storage.POSTER, storage.THUMBNAIL):
        os.replace(folder / name, home / name)
    original = video.original_path
    now = timezone.now()
    ready = Video.objects.filter(pk=video.pk, deleted_at__isnull=True).update(
        state=Video.State.READY,
        error="",
        progress=100,
        duration_ms=duration,
        width=facts.width,
        height=facts.height,
        size_bytes=(home / storage.RENDITION).stat().st_size,
        video_path=storage.relative(home / storage.RENDITION),
        poster_path=storage.relative(home / storage.POSTER),
        thumbnail_path=storage.relative(home / storage.THUMBNAIL),
        original_path="",
        ready_at=now,
        updated_at=now,
    )
    if not ready:  # deleted meanwhile
        storage.remove_files(video)
    if original:
        storage.absolute(original).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def fail(video: Video, sentence: str, *, keeps_original: bool = False) -> None:
    """Write on the row why there is no video, and leave nothing else behind.

    `keeps_original`: the fault may be ours (a full disk, a crash), so what was recorded stays for `retry` until it is purged.
    """
    original = video.original_path if keeps_original else ""
    if keeps_original:
        shutil.rmtree(storage.work_folder_of(video), ignore_errors=True)
    else:
        storage.remove_files(video)
    Video.objects.filter(pk=video.pk).update(
        state=Video.State.FAILED, error=sentence[:500], original_path=original, updated_at=timezone.now()
    )


def retry(video: Video) -> bool:
    """Convert a failed video again if its original is still there; returns whether it is."""
    if not video.original_path or not storage.absolute(video.original_path).exists():
        return False
    Video.objects.filter(pk=video.pk).update(
        state=Video.State.PROCESSING, attempts=0, error="", progress=0, updated_at=timezone.now()
    )
    wake("videos.tasks.convert", video.pk, cluster="video")
    return True


def recover() -> int:
    """Wake the converter for videos that wait although nobody works on them; returns how many."""
    late = Video.objects.filter(
        state=Video.State.PROCESSING, deleted_at__isnull=True, updated_at__lt=timezone.now() - timedelta(seconds=30)
    ).select_related("organization")
    count = 0
    for video in late[:50]:
        try:
            with hold(video):  # nobody works on it: a long conversion is not a lost one
                spent = video.attempts >= MAX_STARTS
        except Busy:
            continue
        if spent:
            fail(video, "This video could not be converted. Your administrator can try again.", keeps_original=True)
            continue
        Video.objects.filter(pk=video.pk).update(updated_at=timezone.now())
        wake("videos.tasks.convert", video.pk, cluster="video")
        count += 1
    return count
