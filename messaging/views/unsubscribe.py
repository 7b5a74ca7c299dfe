"""Opting out of an organization's personal mails: a GET shows, only a POST acts (abuse case A25, RFC 8058)."""

import time

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from messaging import links
from messaging.services import unsubscribes
from messaging.services.landing import base_context
from messaging.views.landing import private, wrong_link


@csrf_exempt  # RFC 8058: mail programs post without cookie or token; the signed link is the authority
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show what opting out means, do it (form or one-click), or take it back; always answered in place, never a redirect."""
    delivery = links.delivery_for(token, links.UNSUBSCRIBE)
    if delivery is None or delivery.message.sender is None:
        return wrong_link(request)
    row = unsubscribes.active(delivery.organization_id, delivery.address_key).first()
    restored = refused = False
    if request.method == "POST":
        if "undo" in request.POST:
            restored = unsubscribes.undo(delivery, request.POST["undo"])
            refused = not restored
            row = None if restored else row
        else:
            one_click = request.POST.get("List-Unsubscribe") == "One-Click"
            row = unsubscribes.record(delivery, "one-click" if one_click else "page")
    acted = request.method == "POST" and row is not None and not refused
    context = base_context(delivery) | {
        "address": delivery.address,
        "since": row.created_at if row else None,
        "undo": unsubscribes.undo_value(row, int(time.time())) if row and acted else "",
        "restored": restored,
        "refused": refused,
        "sent_at": delivery.message.sent_at,
    }
    name = "unsubscribed" if row else "unsubscribe"
    return private(HttpResponse(render_to_string(f"messaging/{name}.html", context)))
