"""Encoding a recording while it arrives: ffmpeg reads from a pipe what the upload's file grows by.

The file is the truth. Whatever goes wrong here is forgotten: the complete original is converted as any other file.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from django.utils import timezone

from pitch.lib import signs
from videos import ffmpeg, storage
from videos.models import Upload, Video
from videos.services import transcoding

# A recording may pause; longer than this the encoder is not kept waiting.
IDLE_SECONDS = 120.0
POLL = 0.1
SLICE = 1024 * 1024


def follow(upload_id: int) -> bool:
    """Encode the recording of an upload while it grows; returns whether the video is ready by this.

    Does nothing for H.264 (copied at the end in no time) and for a file that is finished or held already.
    """
    upload = Upload.objects.select_related("video__organization").filter(pk=upload_id).first()
    if upload is None or upload.video.deleted_at is not None or upload.video.state == Video.State.READY:
        return False
    try:
        facts = ffmpeg.look_at(storage.absolute(upload.path))
    except (ffmpeg.NotAVideo, ffmpeg.FfmpegFailed, OSError):
        # Too little has arrived to know; the next piece wakes the next try.
        Video.objects.filter(pk=upload.video_id, state=Video.State.RECEIVING).update(progress=0)
        return False
    if transcoding.can_copy(facts):
        return False
    try:
        with transcoding.hold(upload.video) as folder:
            follower = Follower(upload, facts, folder)
            is_ready = follower.run()
            if follower.gave_up_waiting:
                # A long pause: the next piece starts another follower, which catches up from the beginning.
                Video.objects.filter(pk=upload.video_id, state=Video.State.RECEIVING).update(progress=0)
            return is_ready
    except transcoding.Busy:
        return False


class Follower:
    """One ffmpeg that is fed from a growing file."""

    def __init__(
        self, upload: Upload, facts: ffmpeg.Facts, folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.upload = upload
        self.video = upload.video
        self.facts = facts
        self.folder = folder
        self.clock = clock
        self.live = folder / "live.mp4"
        self.gave_up_waiting = False

    def run(self) -> bool:
        """Feed until the upload is finished, then publish; returns whether that worked."""
        seconds = 4 * transcoding.max_seconds(self.video) + 600
        arguments = [
            *ffmpeg.source("pipe:0"),
            *transcoding.output_options(self.video),
            *transcoding.picture_options(self.facts),
            # A short look-ahead: what is not encoded at Stop is what the sender waits for.
            "-tune", "zerolatency", "-movflags", "+frag_keyframe+empty_moov", "-f", "mp4", str(self.live),
        ]  # fmt: skip
        command = [word for word in ffmpeg.command(*arguments) if word != "-nostdin"]
        with (self.folder / "follow.log").open("wb") as words:
            encoder = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=words,
                preexec_fn=lambda: ffmpeg.limits(seconds),
                start_new_session=True,
            )
            try:
                complete = self._feed(encoder)
            except OSError:  # the encoder died, or the take was dropped before its file was opened
                complete = False
            finally:
                if encoder.stdin is not None:
                    try:
                        encoder.stdin.close()
                    except BrokenPipeError:
                        complete = False
            if not complete:
                encoder.kill()
                encoder.wait()
                return False
            try:
                code = encoder.wait(timeout=60)
            except subprocess.TimeoutExpired:
                encoder.kill()
                encoder.wait()
                return False
        return code == 0 and self._publish()

    def _feed(self, encoder: subprocess.Popen[bytes]) -> bool:
        """Copy confirmed bytes into the encoder until the upload is finished; False if it was dropped or idle too long."""
        assert encoder.stdin is not None
        sent, last_growth = 0, self.clock()
        with storage.absolute(self.upload.path).open("rb") as file:
            while True:
                row = Upload.objects.filter(pk=self.upload.pk).values("offset", "finished_at").first()
                if row is None:
                    return False
                while sent < row["offset"]:
                    data = file.read(min(SLICE, row["offset"] - sent))
                    if not data:
                        return False  # the file is gone: the take was dropped
                    encoder.stdin.write(data)
                    sent += len(data)
                    last_growth = self.clock()
                encoder.stdin.flush()
                if row["finished_at"] is not None and sent == row["offset"]:
                    return True
                self.gave_up_waiting = self.clock() - last_growth > IDLE_SECONDS or signs.is_stopping()
                if encoder.poll() is not None or self.gave_up_waiting:
                    return False
                time.sleep(POLL)

    def _publish(self) -> bool:
        """Repack the fragments into one MP4 that starts at once, and publish it."""
        self.video.refresh_from_db()
        if self.video.state != Video.State.PROCESSING or self.video.deleted_at is not None:
            return False
        Video.objects.filter(pk=self.video.pk).update(progress=90, updated_at=timezone.now())
        rendition = self.folder / storage.RENDITION
        try:
            ffmpeg.run(
                [
                    *ffmpeg.source(self.live),
                    "-map",
                    "0",
                    "-c",
                    "copy",
                    "-movflags",
                    "+faststart",
                    "-f",
                    "mp4",
                    str(rendition),
                ],
                seconds=120,
            )
            transcoding.publish(self.video, rendition, self.folder)
        except ffmpeg.NotAVideo as err:
            transcoding.fail(self.video, str(err))
            return True
        except (ffmpeg.FfmpegFailed, OSError):
            return False
        return True
