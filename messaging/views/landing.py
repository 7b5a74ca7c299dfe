"""The recipient's own page and the reports it sends back. Nobody signs in here, and a GET writes nothing."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from messaging.services import landing as pages
from messaging.services import visits
from pitch.lib import limiter

MISSES_PER_MINUTE = 30
BEACONS_PER_MINUTE = 240
BEACON_BYTES = 16_000
RANGES = 2_000


def private(response: HttpResponse) -> HttpResponse:
    """Keep a personal page out of caches, search engines, frames and Referer headers (abuse cases A9, A10, A38)."""
    response["Cache-Control"] = "private, no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response


def _address(request: HttpRequest) -> str:
    """Return who asks for the limits' purposes: a hash of the address that nobody can undo tomorrow."""
    return visits.source_key(visits.Source(request.META.get("REMOTE_ADDR", "")))


def too_quick(sentence: str = "") -> HttpResponse:
    """Answer somebody over a limit, and say when the next minute starts."""
    response = HttpResponse(sentence, status=429, content_type="text/plain; charset=utf-8")
    response["Retry-After"] = str(limiter.seconds_left())
    return private(response)


def wrong_link(request: HttpRequest) -> HttpResponse:
    """Answer an unknown or forged link: always the same bytes, so nothing is learned by guessing; too many guesses get 429."""
    if limiter.too_many("landing-miss", _address(request), MISSES_PER_MINUTE):
        return too_quick(_("Too many wrong links from your address. Try again in a minute."))
    return private(HttpResponse(render_to_string("messaging/landing_wrong.html"), status=404))


@require_safe
def landing(request: HttpRequest, token: str) -> HttpResponse:
    """Show the page of one delivery, or in one sentence why there is nothing to see."""
    delivery = pages.find(token)
    if delivery is None:
        return wrong_link(request)
    obstacle = pages.obstacle(delivery)
    # Rendered without the request: nothing here may depend on who is signed in, and it is quicker.
    if not obstacle:
        return private(HttpResponse(_render("landing", pages.landing_context(delivery.message, delivery))))
    context = pages.base_context(delivery)
    if obstacle == "processing":
        video = delivery.message.video
        return private(HttpResponse(_render("landing_processing", {**context, "video": video})))
    name = "landing_expired" if obstacle == "expired" else "landing_revoked"
    context |= {"obstacle": obstacle, "expired_at": delivery.link_expires_at}
    return private(HttpResponse(_render(name, context), status=410))


def _render(name: str, context: dict[str, Any]) -> str:
    return render_to_string(f"messaging/{name}.html", context)


@csrf_exempt  # the seed in the body was signed for this very page; there is no cookie that could be abused
@require_POST
def beacon(request: HttpRequest, token: str) -> HttpResponse:
    """Take one report of a landing page (JSON, at most 16 kB); 204 whatever came of it."""
    delivery = pages.find(token)
    if delivery is None:
        return wrong_link(request)
    # Of each link for itself: a whole office behind one address may watch at the same time.
    if limiter.too_many("beacon", f"{delivery.pk}:{_address(request)}", BEACONS_PER_MINUTE):
        return too_quick()
    try:
        size = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        size = BEACON_BYTES + 1
    if size > BEACON_BYTES:
        return private(HttpResponse(status=413))
    try:
        seed, report = parse_beacon(json.loads(request.read(BEACON_BYTES + 1)))
    except (ValueError, RecursionError):
        return private(HttpResponse(status=400))
    opened = visits.read_seed(delivery, seed)
    if opened is None:
        return private(HttpResponse(status=400))
    if not delivery.message.is_test and not pages.obstacle(delivery):
        code, opened_at = opened
        visit = visits.open_visit(delivery, code, source_of(request))
        if visit is None:
            return private(HttpResponse(status=429))
        visits.record_beacon(delivery, visit, report, opened_at=opened_at)
    return private(HttpResponse(status=204))


def source_of(request: HttpRequest) -> visits.Source:
    """Return what the request says about who asks."""
    user = request.user
    return visits.Source(
        address=request.META.get("REMOTE_ADDR", ""),
        agent=request.headers.get("User-Agent", "")[:400],
        purpose=(request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or "").lower(),
        user=user if isinstance(user, User) else None,
    )


def parse_beacon(data: object) -> tuple[str, visits.Beacon]:
    """Return the visit's seed and the report; raises ValueError for anything that landing.js does not send.

    `data`: {visit: str, sequence: 1…, trusted: bool, user_activation: bool|null, visible: bool, started: bool,
    ranges: [[from, to), …] in whole seconds}.
    """
    if not isinstance(data, dict):
        raise ValueError("not an object")
    seed, sequence, ranges = data.get("visit"), data.get("sequence"), data.get("ranges", [])
    if not isinstance(seed, str) or len(seed) > 200:
        raise ValueError("visit")
    if type(sequence) is not int or not 1 <= sequence < 2**31:
        raise ValueError("sequence")
    if not isinstance(ranges, list) or len(ranges) > RANGES:
        raise ValueError("ranges")
    played = []
    for pair in ranges:
        if not isinstance(pair, list) or len(pair) != 2 or any(type(n) is not int for n in pair):
            raise ValueError("ranges")
        if not 0 <= pair[0] <= pair[1] <= visits.MAX_CELLS:
            raise ValueError("ranges")
        played.append((pair[0], pair[1]))
    activated = data.get("user_activation")
    return seed, visits.Beacon(
        sequence=sequence,
        trusted=data.get("trusted") is True,
        activated=activated if isinstance(activated, bool) else None,
        visible=data.get("visible") is True,
        started=data.get("started") is True,
        ranges=tuple(played),
    )
