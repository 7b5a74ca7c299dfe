"""ffmpeg, held on a short lead: no shell, no network, limited time, memory and output (abuse case A21).

imageio-ffmpeg brings no ffprobe, so files are looked at by `ffmpeg -i`, whose words are parsed.
"""

import re
import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import imageio_ffmpeg
from django.conf import settings

from pitch.lib import processes

# Containers that hold their own frames. Playlists (HLS, DASH, concat) would make ffmpeg open other files.
FORMATS = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpegts,ogg,flv"
MAX_STREAMS = 8
MAX_SIDE = 4096
MEMORY_BYTES = 3 * 1024**3
STDERR_BYTES = 64_000


class NotAVideo(Exception):
    """A file that cannot be taken as a video; the message is a sentence for the person who uploaded it."""


class FfmpegFailed(Exception):
    """ffmpeg ended with an error or ran out of time; the message holds its last words, for the operator."""


@dataclass(frozen=True)
class Facts:
    """What a file holds. `duration_ms` is None where the container does not say (recordings of browsers)."""

    duration_ms: int | None
    width: int
    height: int
    video_codec: str
    pixel_format: str
    has_audio: bool
    is_rotated: bool


@lru_cache(maxsize=4)
def _find(setting: str) -> str:
    return setting or shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()


def executable() -> str:
    """Return the ffmpeg to use: the setting FFMPEG, else the one on PATH, else imageio-ffmpeg's."""
    return _find(settings.FFMPEG)


def limits(seconds: int) -> None:
    """Limit the child: memory, processor time, no core files, and no life after ours."""
    processes.die_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (2 * seconds, 2 * seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def command(*arguments: str) -> list[str]:
    """Return a command line: no questions, no banner, at most two threads."""
    return [executable(), "-nostdin", "-hide_banner", "-y", "-threads", "2", *arguments]


def source(path: Path | str) -> list[str]:
    """Return the options that open a file and nothing but this file."""
    protocols = "pipe" if str(path).startswith("pipe:") else "file"
    name = str(path) if protocols == "pipe" else f"file:{path}"
    return ["-protocol_whitelist", protocols, "-format_whitelist", FORMATS, "-i", name]


def run(arguments: Sequence[str], *, seconds: int) -> str:
    """Run ffmpeg and return what it wrote to standard error, at most 64 kB.

    Raises FfmpegFailed when it ends with an error, or after `seconds` (its whole group is killed).
    """
    done = _execute(arguments, seconds=seconds)
    if done.returncode != 0:
        raise FfmpegFailed(done.stderr[-2000:].strip() or f"exit code {done.returncode}")
    return done.stderr


def _execute(arguments: Sequence[str], *, seconds: int) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=seconds,
            preexec_fn=lambda: limits(seconds),
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise FfmpegFailed(f"ran longer than {seconds} s") from err


_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d)\.(\d\d)")
_STREAM = re.compile(r"^\s*Stream #0:\d+.*?: (Video|Audio|Subtitle|Data|Attachment): (.*)$", re.M)
_SIZE = re.compile(r"(?<![\w.])(\d{2,6})x(\d{2,6})(?![\w.])")
_PIXELS = re.compile(r"\b(yuvj?\d\w*|nv12|gray\w*|rgb\w*|bgr\w*|argb|rgba)\b")


def look_at(path: Path) -> Facts:
    """Return what the file says of itself, without decoding it.

    Raises NotAVideo for anything that is no video, has no picture, too many streams, or an absurd size.
    """
    # Without an output ffmpeg always ends with code 1; its words are what counts.
    words = _execute(["-v", "info", *source(path)], seconds=30).stderr[:STDERR_BYTES]
    streams = _STREAM.findall(words)
    pictures = [text for kind, text in streams if kind == "Video" and "attached pic" not in text]
    if not pictures:
        raise NotAVideo("This file is not a video that Pitch can read. Choose an MP4, MOV, WebM, MKV or AVI file.")
    if len(streams) > MAX_STREAMS:
        raise NotAVideo(f"This file holds {len(streams)} streams; a video message has one picture and one sound.")
    size = _SIZE.search(pictures[0])
    if size is None:
        raise NotAVideo("This file does not say how large its picture is. It may be damaged.")
    width, height = int(size[1]), int(size[2])
    if max(width, height) > MAX_SIDE or min(width, height) < 16:
        raise NotAVideo(f"The picture is {width} × {height} pixels; at most {MAX_SIDE} on a side can be taken.")
    length = _DURATION.search(words)
    duration = None
    if length:
        hours, minutes, seconds, hundredths = (int(group) for group in length.groups())
        duration = ((hours * 60 + minutes) * 60 + seconds) * 1000 + hundredths * 10
    pixels = _PIXELS.search(pictures[0])
    # Phones store upright pictures lying down and say so; ffmpeg turns them when it decodes.
    turned = re.search(r"rotation of -?90\.", words) is not None
    if turned:
        width, height = height, width
    return Facts(
        duration_ms=duration,
        width=width,
        height=height,
        video_codec=pictures[0].split(",")[0].split()[0].lower(),
        pixel_format=pixels[0] if pixels else "",
        has_audio=any(kind == "Audio" for kind, _text in streams),
        is_rotated=turned,
    )


_TIME = re.compile(r"time=(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def decoded_ms(words: str) -> int:
    """Return the last `time=` ffmpeg reported while it worked, in milliseconds (0 if none)."""
    found = _TIME.findall(words)
    if not found or found[-1][0]:
        return 0
    _sign, hours, minutes, seconds = found[-1]
    return round(((int(hours) * 60 + int(minutes)) * 60 + float(seconds)) * 1000)


def stream_lengths(path: Path, *, seconds: int) -> tuple[int, int]:
    """Return how long picture and sound of a file are, in milliseconds, by walking its packets (0 for no such stream)."""
    lengths = []
    for kind in ("v", "a"):
        done = _execute(
            ["-v", "info", *source(path), "-map", f"0:{kind}:0?", "-c", "copy", "-f", "null", "-"], seconds=seconds
        )
        lengths.append(decoded_ms(done.stderr))
    return lengths[0], lengths[1]
