"""The studio: where a signed-in person lands."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from accounts.access import member, member_required
from accounts.models import User
from messaging.models import Message
from messaging.services import providers, summaries
from templates_app.services import signatures
from videos.services import library, media
from videos.views.recorder import stage_for

LAST = 5


def greeting(user: User) -> str:
    """Return a greeting that fits the hour."""
    hour = timezone.localtime().hour
    name = user.get_short_name() if user.name else ""
    words = _("Good morning") if hour < 12 else _("Good afternoon") if hour < 18 else _("Good evening")
    return f"{words}, {name}" if name else words


def checklist(user: User) -> list[dict[str, object]]:
    """Return the first steps with whether each is done; empty when all are."""
    assert user.organization is not None
    steps: list[dict[str, object]] = [
        {
            "done": library.videos_for(user).exists(),
            "text": _("Record your first video"),
            "view": "videos:video-record",
        },
        {
            "done": signatures.default_for(user) is not None,
            "text": _("Write a signature"),
            "view": "templates_app:signature-edit",
        },
        {"done": bool(user.title), "text": _("Say who you are"), "view": "accounts:profile"},
    ]
    if user.is_administrator:
        server = {"done": providers.resolve(user.organization) is not None, "text": _("Set up the mail server")}
        steps.append({**server, "view": "admin:messaging_emailprovider_changelist"})
    return [] if all(step["done"] for step in steps) else steps


@member_required
@require_safe
@ensure_csrf_cookie
def home(request: HttpRequest) -> HttpResponse:
    """Show stage, first steps and the last messages."""
    user = member(request)
    rows = Message.objects.of_sender(user).exclude(status=Message.Status.DRAFT).filter(kind=Message.Kind.PITCH)
    last = list(rows.select_related("video").order_by("-sent_at")[:LAST])
    found = summaries.summarize(last)
    for message in last:
        message.summary = found[message.pk]
        message.is_fresh = message.sent_at is not None and timezone.now() - message.sent_at < timedelta(minutes=1)
        if message.video and message.video.is_playable:
            message.picture = media.poster_url(message.video)
    context = {"greeting": greeting(user), "steps": checklist(user), "last": last, **stage_for(user)}
    return render(request, "messaging/home.html", context)
