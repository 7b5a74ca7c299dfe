"""A person's own videos: what there is, names, and what deleting one means."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils import timezone

from accounts.models import User
from videos import storage
from videos.models import Upload, Video, VideoQuerySet
from videos.services import uploads


@dataclass(frozen=True)
class Consequence:
    """One thing that deleting a video means, in words, and whether it happens to anybody but its owner."""

    sentence: str
    concerns_others: bool


# What deleting a video means. messaging fills this: it knows who was sent what, and imports point down.
consequences: list[Callable[[Video], list[Consequence]]] = []


def videos_for(user: User) -> VideoQuerySet:
    """Return the videos of `user` that were not deleted, newest first."""
    rows: VideoQuerySet = Video.objects.for_organization(user.organization).filter(owner=user).kept()
    return rows


def find(user: User, code: str) -> Video | None:
    """Return one of the user's own videos, or None."""
    return videos_for(user).select_related("organization").filter(code=code).first()


def rename(video: Video, title: str) -> Video:
    """Give a video another title (at most 200 letters)."""
    video.title = "".join(letter for letter in title if letter.isprintable()).strip()[:200]
    video.save(update_fields=["title", "updated_at"])
    return video


def consequences_of(video: Video) -> list[Consequence]:
    """Return what deleting this video means, for the person who is about to."""
    return [found for ask in consequences for found in ask(video)]


def delete(video: Video) -> None:
    """Delete a video: its links are dead at once, its files are removed, its row stays for the messages it was in."""
    Video.objects.filter(pk=video.pk).update(deleted_at=timezone.now(), updated_at=timezone.now())
    upload = Upload.objects.filter(video=video, finished_at__isnull=True).select_related("video").first()
    if upload is not None:
        uploads.terminate(upload)
    storage.remove_files(video)
