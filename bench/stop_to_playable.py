"""Seconds from Stop to a video that plays, for a recording of 10 s and one of 120 s.

A take as Chromium makes it (VP8 and Opus, 1280 × 720, 30 pictures a second, about 2.5 Mbit/s, no length in its header) goes
through the real upload service in one piece for each second of it, while two worker processes run the real tasks. The take of
10 s is fed in real time, the one of 120 s four times as fast, so its encoder has a quarter of the time it has in life. Beside it,
in the same run, stands what the wait would be if the conversion began at Stop.
"""

import io
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import override_settings
from django.utils.module_loading import import_string

from pitch.lib import queue
from videos import ffmpeg
from videos.models import Upload, Video
from videos.services import uploads
from videos.services.uploads import Piece

WORKERS = 2
# seconds of the take: (times real time, rounds, must, aim)
TAKES = {10: (1, 3, 3.0, 1.0), 120: (4, 1, 10.0, 3.0)}
SOURCE = "testsrc2=size=1280x720:rate=30:duration=10,noise=alls=6:allf=t"
CODECS = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2500k", "-c:a", "libopus"]


def make_take(folder: Path, seconds: int) -> bytes:
    """Return a recording of `seconds` (a multiple of 10) as a browser would have made it."""
    ten = folder / "ten.webm"
    if not ten.exists():
        sound = ["-f", "lavfi", "-i", "sine=frequency=300:duration=10"]
        execute(["-f", "lavfi", "-i", SOURCE, *sound, *CODECS, str(ten)])
    take = folder / f"{seconds}.webm"
    # -live 1: neither length nor index, as from MediaRecorder.
    execute(
        ["-stream_loop", str(seconds // 10 - 1), "-i", str(ten), "-c", "copy", "-f", "webm", "-live", "1", str(take)]
    )
    return take.read_bytes()


def execute(words: list[str]) -> None:
    subprocess.run([ffmpeg.executable(), "-v", "error", "-y", "-nostdin", *words], check=True)


def work(tasks: Any) -> None:
    """Run tasks one after another, as a worker process does, until None comes."""
    connection.close()
    while (task := tasks.get()) is not None:
        name, ids = task
        import_string(name)(*ids)


def make_owner() -> Any:
    from accounts.models import Organization, User

    acme = Organization.objects.create(slug="acme", name="Acme", partner_id=4242, admin_secrets=[], user_secrets=[])
    return User.objects.create_user("ben@acme.test", organization=acme, name="Ben Ode")


def wait_for(video: Video) -> float:
    """Return the seconds from now until the video plays."""
    stop = time.perf_counter()
    while True:
        video.refresh_from_db()
        if video.is_playable:
            return time.perf_counter() - stop
        if video.state == Video.State.FAILED:
            raise RuntimeError(video.error)
        time.sleep(0.02)


def feed(owner: Any, take: bytes, seconds: int, speed: float) -> tuple[Upload, float]:
    """Upload a take piece by piece and stop; returns the upload and the seconds until it plays."""
    upload = uploads.create(owner, length=None, source="recorded")
    size = -(-len(take) // seconds)
    begin = time.perf_counter()
    for number in range(seconds):
        time.sleep(max(0.0, begin + (number + 1) / speed - time.perf_counter()))
        data = take[number * size : (number + 1) * size]
        upload = uploads.append(upload, Piece(upload.offset, len(data), io.BytesIO(data)))
    uploads.finish(upload, len(take))
    return upload, wait_for(upload.video)


def measure(folder: Path) -> dict[int, tuple[float, float]]:
    """Return for each take: seconds from Stop to playable while followed, and when converted only after Stop."""
    owner = make_owner()
    context = multiprocessing.get_context("fork")
    tasks = context.Queue()
    # The broker of this bench.
    vars(queue)["async_task"] = lambda name, *ids, **_options: tasks.put((name, ids))
    connection.close()  # a forked child must not share the connection
    workers = [context.Process(target=work, args=(tasks,), daemon=True) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    found = {}
    for seconds, (speed, rounds, *_limits) in TAKES.items():
        take = make_take(folder, seconds)
        followed = statistics.median(feed(owner, take, seconds, speed)[1] for _ in range(rounds))
        whole = uploads.create(owner, length=len(take), source="uploaded", file_name="take.webm")
        uploads.append(whole, Piece(0, len(take), io.BytesIO(take)))
        found[seconds] = (followed, wait_for(whole.video))
        print(
            f"{seconds} s take, {len(take) / 1e6:.1f} MB, fed at {speed}× real time: playable {found[seconds][0]:.2f} s "
            f"after Stop; converted only after Stop: {found[seconds][1]:.2f} s"
        )
    for _worker in workers:
        tasks.put(None)
    for worker in workers:
        worker.join(10)
    return found


def run_in(folder: Path) -> dict[int, tuple[float, float]]:
    """Measure with a database and media of its own below `folder`."""
    # The workers are processes of their own: SQLite's usual test database, in memory, would be theirs alone.
    connection.settings_dict.setdefault("TEST", {})["NAME"] = (
        str(folder / "bench.sqlite3") if connection.vendor == "sqlite" else "bench_stop_to_playable"
    )
    name = connection.settings_dict["NAME"]
    usual = vars(queue)["async_task"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        with override_settings(MEDIA_ROOT=folder / "media"):
            return measure(folder)
    finally:
        vars(queue)["async_task"] = usual
        connection.creation.destroy_test_db(name, verbosity=0)
        connection.settings_dict["TEST"]["NAME"] = None


def run() -> dict[str, Any]:
    """Return the bench's lines: seconds from Stop to playable for each take."""
    with tempfile.TemporaryDirectory() as folder:
        found = run_in(Path(folder))
    lines = {}
    for seconds, (followed, after) in found.items():
        speed, _rounds, must, aim = TAKES[seconds]
        lines[f"Stop to playable, {seconds} s"] = {
            "value": round(followed, 2),
            "unit": "s",
            "baseline": f"converted only after Stop, same run: {after:.1f} s; fed at {speed}× real time",
            "must": must,
            "aim": aim,
            "better": "lower",
        }
    return lines
