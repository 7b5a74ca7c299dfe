"""Compose: the page, saving while typing, sending."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from accounts.access import member, member_required
from messaging import limits
from messaging.access import own_draft, own_message, own_test
from messaging.models import Message
from messaging.services import composing, drafts, preflight, providers, recipients, summaries
from messaging.services.drafts import DraftFields
from messaging.services.preflight import Preflight
from messaging.services.recipients import ParsedAddress
from messaging.words import compose_words
from pitch.lib import limiter
from templates_app.services import signatures
from videos.services import library
from videos.views.library import with_urls

MAX_BODY = 1_000_000  # bytes of JSON: the longest text in any alphabet, also escaped, and all recipients
TESTS_PER_MINUTE = 6


def chip_of(parsed: ParsedAddress) -> dict[str, str]:
    """Return a recipient as the chips' script knows it."""
    return {
        "name": parsed.name,
        "address": parsed.address,
        "problem": parsed.problem,
        "suggestion": parsed.suggestion,
        "key": parsed.key,
    }


def rows_from_json(value: Any) -> list[ParsedAddress]:
    """Return recipients of a script's list; what is no list of objects with texts is dropped."""
    rows = value if isinstance(value, list) else []
    return [
        ParsedAddress(str(row.get("name", "")), str(row.get("address", "")))
        for row in rows[: drafts.MAX_KEPT]
        if isinstance(row, dict)
    ]


def fields_from_json(data: dict[str, Any]) -> DraftFields:
    """Return the draft a script sent; raises ValueError if it is not of that shape."""
    version = data.get("version")
    if not isinstance(version, int):
        raise ValueError("version")
    return DraftFields(
        version=version,
        save_id=str(data.get("save_id", "")),
        to=rows_from_json(data.get("to")),
        bcc=rows_from_json(data.get("bcc")),
        subject=str(data.get("subject", "")),
        text_html=str(data.get("text_html", "")),
        with_signature=bool(data.get("with_signature", True)),
        reply_to=str(data.get("reply_to", "")),
        video=str(data.get("video", "")),
    )


def fields_from_form(request: HttpRequest, message: Message) -> DraftFields:
    """Return the draft of the page's form, also as it is without scripts: recipients are lists of text then."""
    post = request.POST
    return DraftFields(
        version=message.draft_version,
        to=recipients.parse(post.get("to", "")),
        bcc=recipients.parse(post.get("bcc", "")),
        subject=post.get("subject", ""),
        text_html=post.get("text_html", ""),
        with_signature=post.get("with_signature") == "on",
        reply_to=post.get("reply_to", ""),
        video=post.get("video", ""),
    )


@member_required
@require_safe
@ensure_csrf_cookie
def message_edit(request: HttpRequest, code: str) -> HttpResponse:
    """Show the compose page of a draft; a message that was sent leads to its own page."""
    message = own_message(request, code)
    if message.status != Message.Status.DRAFT:
        return redirect("messaging:message-detail", code)
    problems = []
    if "refused" in request.GET:  # Send came back: say all that still stands against it
        try:
            composing.check(message, by_hand=request.GET["refused"] == "links")
        except composing.CannotSend as err:
            problems = err.sentences
    return edit_page(request, message, problems)


def edit_page(request: HttpRequest, message: Message, problems: list[str]) -> HttpResponse:
    """Render the compose page, with what stands against sending if it was tried."""
    user = member(request)
    domains = recipients.known_domains(user)
    chips = {
        kind: [
            chip_of(ParsedAddress(row.get("name", ""), p.address, p.problem, p.suggestion))
            for row in drafts.rows_of(message, kind)
            for p in [recipients.parse_one(row.get("address", ""), domains)]
        ]
        for kind in ("to", "bcc")
    }
    signature = signatures.default_for(user)
    ready, sentence = preflight_of(message)
    context = {
        "words": compose_words(),
        "ready": ready,
        "preflight": sentence,
        "message": message,
        "video": with_urls(message.video) if message.video and message.video.deleted_at is None else None,
        "videos": [with_urls(v) for v in library.videos_for(user).filter(state="ready")[:12]],
        "to_chips": chips["to"],
        "bcc_chips": chips["bcc"],
        "signature": signature,
        "problems": problems,
        "limit": limits.MAX_RECIPIENTS,
        "state": {
            "version": message.draft_version,
            "to": chips["to"],
            "bcc": chips["bcc"],
            "limit": limits.MAX_RECIPIENTS,
        },
    }
    return render(request, "messaging/compose.html", context)


@member_required
@require_POST
def recipients_parse(request: HttpRequest) -> JsonResponse:
    """Read a typed or pasted list: JSON {"text": …} → {"recipients": […]}."""
    try:
        text = str(json.loads(request.body[:MAX_BODY])["text"])
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"error": _('Send JSON like {"text": "…"}.')}, status=400)
    found = recipients.parse(text, recipients.known_domains(member(request)))
    return JsonResponse({"recipients": [chip_of(parsed) for parsed in found]})


@member_required
@require_safe
def recipient_search(request: HttpRequest) -> JsonResponse:
    """Suggest people of the own organization and recent recipients."""
    user = member(request)
    assert user.organization is not None
    try:
        found = recipients.search(user.organization, user, request.GET.get("q", ""))
    except recipients.TooManySearches:
        return JsonResponse(
            {"error": _("That was very quick. Type the address, or try again in a minute.")}, status=429
        )
    return JsonResponse({"results": found})


@member_required
@require_POST
def draft_save(request: HttpRequest, code: str) -> JsonResponse:
    """Save a draft while it is typed: JSON in, version and time out; 409 with a sentence if it cannot be saved."""
    message = own_message(request, code)
    # Before it is read: Django refuses to read far larger ones, with a page instead of words.
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
        return JsonResponse({"error": str(drafts.TooLong())}, status=413)
    try:
        data = json.loads(request.body)
        fields = fields_from_json(data)
    except (ValueError, AttributeError, TypeError):
        words = _("Not saved: this draft could not be read. Copy what you typed, then reload the page.")
        return JsonResponse({"error": words}, status=400)
    try:
        message = drafts.save(message, fields)
    except drafts.TooLong as err:
        return JsonResponse({"error": str(err)}, status=413)
    except (drafts.StaleDraft, drafts.NotADraft) as err:
        return JsonResponse({"error": str(err), "version": message.draft_version}, status=409)
    assert message.draft_saved_at is not None
    saved = time_format(timezone.localtime(message.draft_saved_at), "H:i")
    ready, sentence = preflight_of(message)
    words = _("Draft saved %(time)s") % {"time": saved}
    return JsonResponse({"version": message.draft_version, "saved": words, "ready": ready, "preflight": sentence})


def preflight_of(message: Message) -> tuple[bool, str]:
    """Return whether the draft could be sent now, and the sentence beside Send."""
    try:
        composing.check(message)
    except composing.CannotSend as err:
        return False, err.sentences[0]
    count = advice_for(message).mails
    return count > 0, preflight_words(count)


def preflight_words(count: int) -> str:
    """Return the sentence beside Send."""
    if count == 0:
        return _("Everybody named here is skipped; no mail would leave.")
    if count == 1:
        return _("One mail, from you by your organization's mail server.")
    return _("%(count)d mails, one after another, from you by your organization's mail server.") % {"count": count}


def advice_for(message: Message) -> Preflight:
    """Return what a draft would meet if it were sent now."""
    rows = composing.parsed_rows(message, "to") + composing.parsed_rows(message, "bcc")
    provider = providers.resolve(message.organization)
    delay = timedelta(seconds=settings.UNDO_SECONDS)
    return preflight.advise(rows, message.organization, provider, delay=delay)


@member_required
@never_cache
@require_safe
def message_preflight(request: HttpRequest, code: str) -> HttpResponse:
    """Answer what is worth knowing before Send, as HTML for the compose page; 204 if there is nothing to say."""
    advice = advice_for(own_draft(request, code))
    if advice.is_quiet:
        return HttpResponse(status=204)
    return render(request, "messaging/_preflight.html", {"advice": advice})


@member_required
@require_POST
def message_send(request: HttpRequest, code: str) -> HttpResponse:
    """Send: the form as it is on the page is saved first, so nothing typed is lost whatever happens.

    What cannot be sent goes back to the compose page, which says why; a reload there posts nothing again.
    """
    message = own_message(request, code)
    if message.status != Message.Status.DRAFT:
        return redirect("messaging:message-detail", code)
    by_hand = request.POST.get("by_hand") == "yes"
    seen = request.POST.get("version")
    if seen is not None and seen != str(message.draft_version):
        # What is on that page is not what would be sent: look again first.
        messages.error(
            request, _("This draft was changed in another tab. Nothing was sent; please look at it once more.")
        )
        return redirect("messaging:message-edit", code)
    try:
        if "subject" in request.POST:
            message = drafts.save(message, fields_from_form(request, message))
        composing.make_links(message) if by_hand else composing.send(message)
    except composing.CannotSend:
        query = urlencode({"refused": "links" if by_hand else "mail"})
        return redirect(f"{reverse('messaging:message-edit', args=[code])}?{query}")
    except (drafts.NotADraft, drafts.StaleDraft, drafts.TooLong) as err:
        messages.error(request, str(err))
    return redirect("messaging:message-detail", code)


@member_required
@require_POST
def message_test(request: HttpRequest, code: str) -> JsonResponse:
    """Send the draft to oneself."""
    user = member(request)
    if limiter.too_many("test-mail", user.pk, TESTS_PER_MINUTE):
        return JsonResponse({"error": _("That were many tests. Wait a minute before the next one.")}, status=429)
    try:
        delivery = composing.send_test(own_draft(request, code), user)
    except composing.CannotSend as err:
        return JsonResponse({"error": " ".join(err.sentences)}, status=422)
    said = _("A test is on its way to %(address)s.") % {"address": user.email}
    return JsonResponse({"said": said, "state_url": reverse("messaging:test-state", args=[delivery.code])})


@member_required
@never_cache
@require_safe
def test_state(request: HttpRequest, code: str) -> JsonResponse:
    """Tell the compose page what became of a test mail."""
    fate = summaries.fate_of_test(own_test(request, code))
    return JsonResponse({"ended": fate.ended, "good": fate.is_good, "said": fate.said})
