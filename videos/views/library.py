"""The library: own videos, names, deleting with the consequence named."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.access import member, member_required
from videos.models import Video
from videos.services import library, media

PER_PAGE = 24


def own_video(request: HttpRequest, code: str) -> Video:
    """Return one of the user's videos; 404 for anybody else's."""
    video = library.find(member(request), code)
    if video is None:
        raise Http404
    return video


def with_urls(video: Video) -> Video:
    """Put the addresses of poster and film on a playable video, for templates."""
    if video.is_playable:
        video.poster = media.poster_url(video)  # type: ignore[attr-defined]
        video.mp4 = media.video_url(video)  # type: ignore[attr-defined]
    return video


@member_required
@require_safe
def video_list(request: HttpRequest) -> HttpResponse:
    """List own videos, newest first."""
    search = request.GET.get("q", "").replace("\0", "").strip()
    rows = library.videos_for(member(request))
    if search:
        rows = rows.filter(title__icontains=search)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    page.object_list = [with_urls(video) for video in page.object_list]
    return render(request, "videos/video_list.html", {"page": page, "search": search})


@member_required
@require_safe
def video_detail(request: HttpRequest, code: str) -> HttpResponse:
    """Show one video: player, name, what deleting would mean."""
    video = with_urls(own_video(request, code))
    found = library.consequences_of(video)
    context = {"video": video, "consequences": found, "concerns_others": any(one.concerns_others for one in found)}
    return render(request, "videos/video_detail.html", context)


@member_required
@require_POST
def video_rename(request: HttpRequest, code: str) -> HttpResponse:
    """Rename a video."""
    video = library.rename(own_video(request, code), request.POST.get("title", ""))
    messages.success(request, _("The name is saved."))
    return redirect("videos:video-detail", video.code)


@member_required
@require_POST
def video_delete(request: HttpRequest, code: str) -> HttpResponse:
    """Delete a video; its page said before what that means."""
    library.delete(own_video(request, code))
    messages.success(request, _("The video is deleted."))
    return redirect("videos:video-list")


@member_required
@never_cache
@require_safe
def video_status(request: HttpRequest, code: str) -> JsonResponse:
    """Tell a script how far a video is."""
    video = with_urls(own_video(request, code))
    return JsonResponse(
        {
            "state": video.state,
            "error": video.error,
            "progress": video.progress,
            "duration_ms": video.duration_ms,
            "poster": getattr(video, "poster", None),
            "mp4": getattr(video, "mp4", None),
        }
    )
