"""Uploads by tus 1.0.0: a file that grows by confirmed pieces, resumable after any loss of connection.

The row's offset is the truth. A piece is written behind it and the offset is committed after; what a broken request left beyond
the offset is cut off before the next piece, so bytes are never doubled.
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from pitch.lib.queue import wake
from videos import storage
from videos.models import Upload, Video

SLICE = 256 * 1024
LOCK = timedelta(seconds=60)
MAX_OPEN_PER_USER = 10


class UploadRefused(Exception):
    """An upload or a piece of one cannot be taken. `status` is the HTTP status tus gives it (tus 1.0.0)."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Piece:
    """One PATCH: where it begins, how long it says it is (None if unknown), and its bytes."""

    offset: int
    length: int | None
    body: IO[bytes]


def too_large() -> UploadRefused:
    """Return the refusal of a file beyond VIDEO_MAX_BYTES."""
    limit = settings.VIDEO_MAX_BYTES // 1_000_000
    return UploadRefused(413, _("This video is larger than %(limit)d MB, the limit here.") % {"limit": limit})


def create(
    owner: User, *, length: int | None, source: str = "", title: str = "", file_name: str = "", mime_type: str = ""
) -> Upload:
    """Make an upload and the video it becomes; `length` in bytes, None while a recording goes on.

    Raises UploadRefused: too large, too many at once, or no organization to belong to.
    """
    if owner.organization is None:
        raise UploadRefused(403, _("Only members of an organization can upload videos."))
    if length is not None and length > settings.VIDEO_MAX_BYTES:
        raise too_large()
    if length == 0:
        raise UploadRefused(400, _("This file is empty."))
    open_uploads = Upload.objects.for_organization(owner.organization).filter(owner=owner, finished_at__isnull=True)
    if open_uploads.filter(expires_at__gt=timezone.now()).count() >= MAX_OPEN_PER_USER:
        raise UploadRefused(
            429, _("You have %(count)d unfinished uploads. Finish or delete one first.") % {"count": MAX_OPEN_PER_USER}
        )
    source = source if source in Video.Source.values else Video.Source.UPLOADED
    # What the recorder calls its file says nothing; an unnamed recording is shown by its day.
    named = title or (file_name if source == Video.Source.UPLOADED else "")
    with transaction.atomic():
        video = Video.objects.create(
            organization=owner.organization, owner=owner, source=source, title=clean_title(named)
        )
        upload = Upload(
            organization=owner.organization,
            owner=owner,
            video=video,
            length=length,
            # PostgreSQL takes no NUL in a text.
            file_name=file_name.replace("\0", "")[:255],
            mime_type=mime_type.replace("\0", "")[:100],
            expires_at=timezone.now() + timedelta(days=settings.UPLOAD_KEEP_DAYS),
        )
        upload.path = storage.upload_path(upload)
        upload.save()
    storage.absolute(upload.path).parent.mkdir(parents=True, exist_ok=True)
    storage.absolute(upload.path).touch(mode=0o640)
    return upload


def clean_title(text: str) -> str:
    """Return a title from a file name: no folders, no ending, no control or direction characters, at most 200 letters."""
    name = text.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(letter for letter in name if letter.isprintable())
    stem, dot, ending = name.rpartition(".")
    if dot and stem and len(ending) <= 5:
        name = stem
    return name.strip()[:200]


class Hold:
    """One request's hold on an upload. It ends by itself after 60 s, so who is slow renews it and notices when it was lost."""

    def __init__(self, upload: Upload) -> None:
        """Take the upload; raises UploadRefused (423) if another request holds it."""
        self.pk = upload.pk
        now = timezone.now()
        free = Q(locked_until__isnull=True) | Q(locked_until__lt=now)
        self.until = now + LOCK
        if not Upload.objects.filter(free, pk=self.pk).update(locked_until=self.until):
            raise self.lost()

    @staticmethod
    def lost() -> UploadRefused:
        """Return the refusal of a request that may not write (any more)."""
        return UploadRefused(423, _("Another request is writing to this upload. Try again in a moment."))

    def renew(self) -> None:
        """Make sure the upload is still held; raises UploadRefused (423) if another request took it meanwhile."""
        now = timezone.now()
        if self.until - now > LOCK * 0.75:
            return
        if not Upload.objects.filter(pk=self.pk, locked_until=self.until).update(locked_until=now + LOCK):
            raise self.lost()
        self.until = now + LOCK

    def commit(self, offset: int) -> None:
        """Write the new offset and let go; a hold that was lost meanwhile writes nothing."""
        expires = timezone.now() + timedelta(days=settings.UPLOAD_KEEP_DAYS)
        Upload.objects.filter(pk=self.pk, locked_until=self.until).update(
            offset=offset, locked_until=None, expires_at=expires
        )


def append(upload: Upload, piece: Piece) -> Upload:
    """Write a piece behind what is there and commit the new offset.

    Returns the upload as it is now; whatever arrived of a broken piece is kept. Raises UploadRefused: 423 another request
    writes, 409 the piece begins elsewhere, 413 too large (a recording is dropped then), 410 finished or gone.
    """
    hold = Hold(upload)
    try:
        upload.refresh_from_db()
        if upload.finished_at is not None or upload.video.deleted_at is not None:
            raise UploadRefused(410, _("This upload is finished."))
        if piece.offset != upload.offset:
            raise UploadRefused(409, _("The upload continues at byte %(offset)d.") % {"offset": upload.offset})
        limit = upload.length if upload.length is not None else settings.VIDEO_MAX_BYTES
        if piece.length is not None and upload.offset + piece.length > limit:
            raise too_large()
        upload.offset = write(upload, piece.body, limit, hold)
    except UploadRefused as err:
        # A take that grew beyond the limit can never be finished, and the person who has it sends it anew or not at all.
        if err.status == 413 and upload.length is None:
            terminate(upload)
        raise
    finally:
        hold.commit(upload.offset)
    if upload.length is not None and upload.offset == upload.length:
        finish(upload, upload.length)
    elif upload.length is None:
        start_following(upload)
    return upload


def write(upload: Upload, body: IO[bytes], limit: int, hold: Hold) -> int:
    """Append `body` to the upload's file in slices; returns the new end.

    Raises UploadRefused: 413 beyond `limit` bytes, 423 if the hold was lost while the body was slow.
    """
    end = upload.offset
    with storage.absolute(upload.path).open("r+b") as file:
        file.truncate(upload.offset)
        file.seek(upload.offset)
        while True:
            try:
                data = body.read(SLICE)
            except OSError:
                break  # the connection broke: what arrived is kept, the client asks for the offset and goes on
            if not data:
                break
            hold.renew()
            if end + len(data) > limit:
                upload.offset = end
                raise too_large()
            file.write(data)
            end += len(data)
    return end


def start_following(upload: Upload) -> None:
    """Wake the converter once the first piece of a recording is here, so that it works while the rest arrives."""
    if not upload.offset:
        return
    if Video.objects.filter(pk=upload.video_id, progress=0, state=Video.State.RECEIVING).update(progress=1):
        wake("videos.tasks.follow", upload.pk, cluster="video")


def finish(upload: Upload, length: int) -> Upload:
    """Close an upload whose length is now known and hand the file to the converter; doing it twice does nothing twice.

    Raises UploadRefused: 409 if bytes are missing, 400 if nothing arrived at all.
    """
    if upload.finished_at is not None:
        return upload
    if upload.offset != length:
        raise UploadRefused(409, _("The upload continues at byte %(offset)d.") % {"offset": upload.offset})
    if length == 0:
        raise UploadRefused(400, _("Nothing was recorded."))
    now = timezone.now()
    with transaction.atomic():
        won = Upload.objects.filter(pk=upload.pk, finished_at__isnull=True, offset=length).update(
            length=length, finished_at=now, locked_until=None
        )
        if won:
            Video.objects.filter(pk=upload.video_id).update(
                state=Video.State.PROCESSING, original_path=upload.path, updated_at=now
            )
            wake("videos.tasks.convert", upload.video_id, cluster="video")
    upload.refresh_from_db()
    return upload


def terminate(upload: Upload) -> None:
    """Drop an upload with everything it left (tus termination); a finished one becomes a deleted video."""
    video = upload.video
    Video.objects.filter(pk=video.pk).update(deleted_at=timezone.now(), state=Video.State.FAILED)
    if upload.finished_at is None:
        Upload.objects.filter(pk=upload.pk).update(expires_at=timezone.now(), finished_at=timezone.now())
    storage.absolute(upload.path).unlink(missing_ok=True)
    storage.remove_files(video)


def purge() -> int:
    """Drop uploads nobody continued for UPLOAD_KEEP_DAYS; returns how many."""
    abandoned = Upload.objects.filter(finished_at__isnull=True, expires_at__lt=timezone.now()).select_related("video")
    count = 0
    for upload in abandoned[:500]:
        terminate(upload)
        count += 1
    forget_originals()
    remove_strays()
    return count


def forget_originals() -> None:
    """Delete what was kept of failed conversions for another try, UPLOAD_KEEP_DAYS after they failed."""
    old = timezone.now() - timedelta(days=settings.UPLOAD_KEEP_DAYS)
    for video in Video.objects.filter(state=Video.State.FAILED, updated_at__lt=old).exclude(original_path="")[:500]:
        storage.remove_files(video)
        Video.objects.filter(pk=video.pk).update(original_path="")


def remove_strays() -> None:
    """Delete upload files older than a day that no row knows (a crash between row and file leaves one)."""
    folder = storage.root() / "uploads"
    if not folder.exists():
        return
    old = timezone.now().timestamp() - 86_400
    for entry in os.scandir(folder):
        if entry.is_file() and entry.stat().st_mtime < old and not Upload.objects.filter(code=entry.name).exists():
            os.unlink(entry.path)
