"""The Messages page: drafts and sent, with search."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import member, member_required
from messaging.access import own_draft, own_message
from messaging.models import Message
from messaging.services import drafts, summaries
from messaging.services.drafts import one_line
from videos.services import library, media

PER_PAGE = 25
TABS = ("all", "drafts", "sent")


@member_required
@require_safe
def message_list(request: HttpRequest) -> HttpResponse:
    """List the user's messages: all, drafts or sent; search looks at subjects, names and addresses."""
    user = member(request)
    tab = request.GET.get("show", "all")
    tab = tab if tab in TABS else "all"
    search = one_line(request.GET.get("q", ""), 100)
    rows = Message.objects.of_sender(user).filter(kind=Message.Kind.PITCH).select_related("video")
    if tab == "drafts":
        rows = rows.filter(status=Message.Status.DRAFT)
    elif tab == "sent":
        rows = rows.exclude(status=Message.Status.DRAFT)
    if search:
        person = Q(deliveries__name__icontains=search) | Q(deliveries__address__icontains=search)
        rows = rows.filter(Q(subject__icontains=search) | person | Q(draft_people__icontains=search)).distinct()
    page = Paginator(rows.order_by("-updated_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    found = summaries.summarize(page.object_list)
    for message in page.object_list:
        message.summary = found[message.pk]
        if message.video and message.video.is_playable:
            message.picture = media.poster_url(message.video)
        if message.status == Message.Status.DRAFT:
            named = [
                row.get("name") or row.get("address", "")
                for kind in ("to", "bcc")
                for row in drafts.rows_of(message, kind)
            ]
            message.summary = summaries.Summary(total=len(named), names=tuple(named[:2]))
    return render(request, "messaging/message_list.html", {"page": page, "tab": tab, "search": search})


@member_required
@require_http_methods(["GET", "HEAD", "POST"])
def message_create(request: HttpRequest) -> HttpResponse:
    """Make a draft (POST, about `video` if given) and go to it; GET changes nothing and shows the button."""
    user = member(request)
    if request.method == "POST":
        video = library.find(user, request.POST["video"]) if request.POST.get("video") else None
        if request.POST.get("message"):  # a new take for a draft there is already
            message = own_draft(request, request.POST["message"])
            return redirect("messaging:message-edit", drafts.set_video(message, video).code)
        return redirect("messaging:message-edit", drafts.create(user, video).code)
    return render(request, "messaging/message_new.html", {"video": request.GET.get("video", "")})


@member_required
@require_POST
def message_duplicate(request: HttpRequest, code: str) -> HttpResponse:
    """Make a new draft like this message."""
    return redirect("messaging:message-edit", drafts.duplicate(own_message(request, code)).code)


@member_required
@require_POST
def message_delete(request: HttpRequest, code: str) -> HttpResponse:
    """Delete a draft."""
    try:
        drafts.delete(own_draft(request, code))
    except drafts.NotADraft as err:
        messages.error(request, str(err))
        return redirect("messaging:message-detail", code)
    messages.success(request, _("The draft is deleted."))
    return redirect("messaging:message-list")
