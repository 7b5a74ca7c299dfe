"""A message that was sent: undo, every address's state live, cancel, links for mailing by hand."""

import hashlib
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.access import member_required
from messaging import links
from messaging.access import own_message
from messaging.models import Delivery, Message
from messaging.models.visits import Verdict
from messaging.services import composing, rendering, resending, summaries
from videos.services import media
from videos.views.library import with_urls

SOON = timedelta(minutes=1)


def deliveries_of(message: Message) -> list[Any]:
    """Return the rows of a message as the page shows them, with what people and machines did."""
    rows: list[Any] = list(
        message.deliveries.select_related("provider").prefetch_related("visits").order_by("position", "id")
    )
    for row in rows:
        visits = [visit for visit in row.visits.all() if not visit.is_sender]
        row.human_visits = [visit for visit in visits if visit.verdict == Verdict.HUMAN]
        row.automated_visits = [visit for visit in visits if visit.verdict != Verdict.HUMAN]
        row.watched_ms = 1000 * max((visit.watched_seconds for visit in row.human_visits), default=0)
        row.is_by_hand = row.state == Delivery.State.SKIPPED and not row.error_enum
        stopped = (
            row.state == Delivery.State.QUEUED and row.provider is not None and row.provider.stopped_at is not None
        )
        row.waits_for_provider = row.provider.stopped_reason if stopped and row.provider else ""
        row.can_correct = resending.can_correct(row)
        row.link = links.landing_url(row)
        row.is_moving = is_moving(message, row)
    return rows


def is_moving(message: Message, row: Delivery) -> bool:
    """Say whether a row is about to change: not one that waits for a later try, a stopped mail server or the sender."""
    if row.state == Delivery.State.LEASED:
        return True
    if message.paused_at is not None or row.state != Delivery.State.QUEUED or row.next_at > timezone.now() + SOON:
        return False
    return row.provider is None or row.provider.stopped_at is None


def context_of(message: Message) -> dict[str, object]:
    """Return what page and rows need."""
    left = 0.0
    if message.status == Message.Status.SENDING and message.send_after is not None:
        left = max(0.0, (message.send_after - timezone.now()).total_seconds())
    summary = summaries.summarize([message])[message.pk]
    rows = deliveries_of(message)
    moving = any(row.is_moving for row in rows)
    facts = [
        (row.code, row.state, row.next_at, row.reply_text, row.error_description, row.played_at, row.visited_at, row.watched_ms,
         len(row.automated_visits), row.waits_for_provider, row.is_moving)
        for row in rows
    ]  # fmt: skip
    refused = resending.refused(message).count()
    held = (message.paused_at, message.error_description, refused)
    return {
        "message": message,
        "refused": refused,
        "summary": summary,
        "rows": rows,
        "undo_left": round(left, 1),
        "seen": hashlib.sha256(repr((left > 0, held, facts)).encode()).hexdigest()[:24],
        "is_moving": moving,
        # Seconds; afterwards for plays, which are to be seen at once. "Nothing changed" costs three queries and no bytes.
        "poll": 1 if moving else 2,
    }


@member_required
@require_safe
def message_detail(request: HttpRequest, code: str) -> HttpResponse:
    """Show a sent message; a draft leads to compose."""
    message = own_message(request, code)
    if message.status == Message.Status.DRAFT:
        return redirect("messaging:message-edit", code)
    context = context_of(message)
    context["video"] = with_urls(message.video) if message.video else None
    return render(request, "messaging/message_detail.html", context)


@member_required
@require_safe
def message_rows(request: HttpRequest, code: str) -> HttpResponse:
    """Answer the rows as they are now; 204 when nothing changed since `seen` (htmx leaves page and focus alone then)."""
    message = own_message(request, code)
    if message.status == Message.Status.DRAFT:  # taken back in another tab
        context: dict[str, object] = {"message": message}
        html = render_to_string("messaging/_rows_over.html", context, request)
    else:
        context = context_of(message)
        if request.GET.get("seen") == context["seen"]:
            return HttpResponse(status=204)
        html = render_to_string("messaging/_rows.html", context, request)
    html += render_to_string("messaging/_about.html", {**context, "is_swapped": True}, request)
    return HttpResponse(html, headers={"Cache-Control": "no-store"})


@member_required
@require_POST
def message_undo(request: HttpRequest, code: str) -> HttpResponse:
    """Take the message back within its 20 seconds."""
    message = own_message(request, code)
    try:
        composing.undo(message)
    except composing.TooLate as err:
        messages.warning(request, str(err))
        return redirect("messaging:message-detail", code)
    messages.success(request, _("Nothing was sent. Your message is a draft again."))
    return redirect("messaging:message-edit", code)


@member_required
@require_POST
def message_cancel(request: HttpRequest, code: str) -> HttpResponse:
    """Stop what has not gone, and say how many had."""
    stopped, gone = composing.cancel(own_message(request, code))
    words = (
        ngettext("%d mail was stopped.", "%d mails were stopped.", stopped) % stopped
        if stopped
        else _("Nothing was left to stop.")
    )
    if gone:
        words += " " + ngettext("%d had gone already.", "%d had gone already.", gone) % gone
    messages.success(request, words)
    return redirect("messaging:message-detail", code)


@member_required
@require_safe
def delivery_snippet(request: HttpRequest, code: str, delivery_code: str) -> HttpResponse:
    """Answer picture and personal link as HTML for the clipboard, for people who mail by hand."""
    message = own_message(request, code)
    delivery = message.deliveries.filter(code=delivery_code).first()
    if delivery is None or message.video is None or not message.video.is_playable:
        return HttpResponse(_("There is no such link any more."), status=404, content_type="text/plain")
    base = links.landing_url(delivery).split("/v/")[0]
    context = {
        "link": links.landing_url(delivery),
        "picture": base + media.thumbnail_url(message.video),
        "sender": message.sender,
        "spoken": rendering.spoken_length(message.video.duration_ms),
    }
    return HttpResponse(
        render_to_string("messaging/snippet.html", context).strip(), headers={"Cache-Control": "no-store"}
    )
