"""Tasks: they carry ids, may run twice, and leave the work to services."""

from videos.models import Upload
from videos.services import following, transcoding


def convert(video_id: int) -> None:
    """Convert a video whose file is complete."""
    transcoding.convert(video_id)


def follow(upload_id: int) -> None:
    """Convert a recording while it arrives; what that could not finish is converted from the original."""
    if not following.follow(upload_id):
        upload = Upload.objects.filter(pk=upload_id, finished_at__isnull=False).first()
        if upload is not None:
            transcoding.convert(upload.video_id)
