"""The recorder's page."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from accounts.access import member, member_required
from accounts.models import User
from videos.words import recorder_words, upload_words


def limits_for(user: User) -> dict[str, Any]:
    """Return what the page says and the scripts keep to: longest recording in seconds, largest file in bytes."""
    own = user.organization.video_max_seconds if user.organization else None
    return {
        "max_seconds": min(own, settings.VIDEO_MAX_SECONDS) if own else settings.VIDEO_MAX_SECONDS,
        "max_bytes": settings.VIDEO_MAX_BYTES,
        "max_megabytes": settings.VIDEO_MAX_BYTES // 1_000_000,
    }


def stage_for(user: User) -> dict[str, Any]:
    """Return the context of videos/_studio_stage.html: the limits, and what its script says."""
    return {**limits_for(user), "upload_words": upload_words()}


@member_required
@require_safe
@ensure_csrf_cookie
def record(request: HttpRequest) -> HttpResponse:
    """Show the recorder."""
    message = request.GET.get("message", "")[:16]
    context = {**limits_for(member(request)), "message": message, "words": recorder_words()}
    return render(request, "videos/record.html", context)
