"""Videos and the uploads they come in by."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, User
from accounts.models.organizations import TenantQuerySet
from pitch.lib.fields import CodeField


class VideoQuerySet(TenantQuerySet):
    """Videos."""

    def kept(self) -> "VideoQuerySet":
        """Keep those that were not deleted."""
        return self.filter(deleted_at__isnull=True)


class Video(models.Model):
    """One take or uploaded file. Files live below MEDIA_ROOT under the random code, never under a user's file name."""

    class State(models.TextChoices):
        """Where the video stands."""

        RECEIVING = "receiving", _("receiving")
        PROCESSING = "processing", _("processing")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    class Source(models.TextChoices):
        """How it came."""

        RECORDED = "recorded", _("recorded")
        UPLOADED = "uploaded", _("uploaded")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="videos")
    owner = models.ForeignKey(User, models.CASCADE, related_name="videos")
    code = CodeField()
    title = models.CharField(_("title"), max_length=200, blank=True)
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.RECORDED)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RECEIVING)
    error = models.CharField(_("what went wrong"), max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    progress = models.PositiveSmallIntegerField(_("converted, percent"), default=0)

    # Measured on the finished rendition, never taken from the browser.
    duration_ms = models.PositiveIntegerField(_("length, ms"), null=True, blank=True)
    width = models.PositiveSmallIntegerField(null=True, blank=True)
    height = models.PositiveSmallIntegerField(null=True, blank=True)
    size_bytes = models.PositiveBigIntegerField(null=True, blank=True)

    # Paths below MEDIA_ROOT; empty until they exist.
    original_path = models.CharField(max_length=200, blank=True)
    video_path = models.CharField(max_length=200, blank=True)
    poster_path = models.CharField(max_length=200, blank=True)
    thumbnail_path = models.CharField(max_length=200, blank=True)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    # The row outlives the files: messages keep saying which video they were about.
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = VideoQuerySet.as_manager()

    class Meta:
        verbose_name = _("video")
        verbose_name_plural = _("videos")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="video_ready_is_complete",
                condition=~models.Q(state="ready")
                | models.Q(deleted_at__isnull=False)
                | (
                    models.Q(duration_ms__isnull=False, width__isnull=False, height__isnull=False)
                    & ~models.Q(video_path="")
                    & ~models.Q(poster_path="")
                    & ~models.Q(thumbnail_path="")
                ),
            ),
        ]
        indexes = [
            # The library page: own videos, newest first.
            models.Index(
                name="video_library", fields=["owner", "-created_at"], condition=models.Q(deleted_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.code

    @property
    def is_playable(self) -> bool:
        """Whether a visitor can watch it now."""
        return self.state == self.State.READY and self.deleted_at is None


class Upload(models.Model):
    """One tus upload (tus 1.0.0): a growing file and its confirmed offset. `length` is null while recording goes on."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="uploads")
    owner = models.ForeignKey(User, models.CASCADE, related_name="uploads")
    video = models.OneToOneField(Video, models.CASCADE, related_name="upload")
    code = CodeField()
    offset = models.PositiveBigIntegerField(default=0)
    length = models.PositiveBigIntegerField(null=True, blank=True)
    path = models.CharField(max_length=200)
    file_name = models.CharField(max_length=255, blank=True)
    mime_type = models.CharField(max_length=100, blank=True)
    locked_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        constraints = [
            models.CheckConstraint(
                name="upload_offset_within_length",
                condition=models.Q(length__isnull=True) | models.Q(offset__lte=models.F("length")),
            ),
        ]
        indexes = [
            # The purge job: what was abandoned?
            models.Index(name="upload_abandoned", fields=["expires_at"], condition=models.Q(finished_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.code
