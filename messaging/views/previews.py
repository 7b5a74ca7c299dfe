"""What the recipient will see: the mail and the page, in a sandboxed frame."""

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from accounts.access import member, member_required
from accounts.services import hosts
from messaging.access import own_message
from messaging.models import Message
from messaging.services import landing, rendering
from templates_app.services import signatures

FRAME = {
    "default-src": [NONE],
    "script-src": [NONE],
    "style-src": [SELF, "'unsafe-inline'"],
    "img-src": [SELF, "data:"],
    "media-src": [SELF],
    "form-action": [NONE],
    "frame-ancestors": [SELF],
    "sandbox": ["allow-popups", "allow-same-origin"],
}


def preview_message(request: HttpRequest, code: str) -> Message:
    """Return the user's message with the signature it would have now (never saved)."""
    message = own_message(request, code)
    if message.status == Message.Status.DRAFT:
        signature = signatures.default_for(member(request)) if message.with_signature else None
        message.signature_html = signature.html if signature else ""
    return message


@member_required
@never_cache
@require_safe
@xframe_options_sameorigin
@csp_replace(FRAME)  # type: ignore[arg-type]  # its types know views without arguments only
def preview_mail(request: HttpRequest, code: str) -> HttpResponse:
    """Render the mail as it would go to `as` (a name); `part=text` shows the text part."""
    message = preview_message(request, code)
    base = hosts.base_url(message.organization)
    rendered = rendering.render(
        message,
        recipient_name=request.GET.get("as", "")[:120],
        landing_url=f"{base}/v/preview",
        unsubscribe_url=f"{base}/u/preview",
        base="",
    )
    if request.GET.get("part") == "text":
        return HttpResponse(rendered.text, content_type="text/plain; charset=utf-8")
    return HttpResponse(rendered.html.replace("<head>", '<head><base target="_blank">', 1))


@member_required
@never_cache
@require_safe
@xframe_options_sameorigin
@csp_replace(FRAME)  # type: ignore[arg-type]
def preview_landing(request: HttpRequest, code: str) -> HttpResponse:
    """Render the landing page as `as` (a name) would see it; nothing is counted."""
    message = preview_message(request, code)
    sample = landing.Sample(name=request.GET.get("as", "")[:120])
    return HttpResponse(
        render_to_string("messaging/landing.html", landing.landing_context(message, sample, preview=True))
    )
