"""The desk for videos: what there is, what could not be converted, and another try."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin_tools import TenantAdmin, staff_user
from accounts.services import audit
from videos.models import Video
from videos.pictures import length_text
from videos.services import transcoding


@admin.register(Video)
class VideoAdmin(TenantAdmin):
    """Videos of the organization; read-only, for the person who made one decides about it."""

    list_display = ("created_at", "title", "owner", "organization", "state", "length", "size", "is_deleted")
    list_filter = ("state", "source")
    list_select_related = ("owner", "organization")
    search_fields = ("title", "code", "owner__email")
    exclude = ("original_path", "video_path", "poster_path", "thumbnail_path")
    actions = ("convert_again",)

    @admin.display(description=gettext_lazy("length"))
    def length(self, obj: Video) -> str:
        """Return the length as "0:42"."""
        return length_text(obj.duration_ms) if obj.duration_ms else ""

    @admin.display(description=gettext_lazy("size"))
    def size(self, obj: Video) -> str:
        """Return the size of the finished file."""
        return filesizeformat(obj.size_bytes) if obj.size_bytes else ""

    @admin.display(description=gettext_lazy("deleted"), boolean=True)
    def is_deleted(self, obj: Video) -> bool:
        """Say whether its owner deleted it."""
        return obj.deleted_at is not None

    @admin.action(description=gettext_lazy("Convert again"))
    def convert_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Try again what failed and still has its original; say how many that were."""
        failed = queryset.filter(state=Video.State.FAILED, deleted_at__isnull=True)
        count = 0
        for video in failed.select_related("organization"):
            if transcoding.retry(video):
                audit.record(video.organization, staff_user(request), "video converted again", video.code)
                count += 1
        words = ngettext("%d video is converted again.", "%d videos are converted again.", count) % count
        messages.success(request, words)
