"""The local mailbox's pages: the demo's mails as a mail program would show them."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from pitch.mailbox import mails

View = Callable[..., HttpResponseBase]


def demo_only(view: View) -> View:
    """Answer 404 outside the demo."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.DEMO:
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


@demo_only
@never_cache
@require_safe
def mail_list(request: HttpRequest) -> HttpResponse:
    """List the mails, newest first."""
    search = request.GET.get("q", "").strip()
    return render(request, "mailbox/mail_list.html", {"mails": mails.read_all(search), "search": search})


@demo_only
@never_cache
@require_safe
def mail_detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one mail: HTML, text, source."""
    mail = mails.read(name)
    if mail is None:
        raise Http404
    view = request.GET.get("view", "html" if mail.html else "text")
    source = mail.source.decode("utf-8", "replace") if view == "source" else ""
    return render(request, "mailbox/mail_detail.html", {"mail": mail, "view": view, "source": source})


@demo_only
@never_cache
@require_safe
@xframe_options_sameorigin
@csp_replace(  # type: ignore[arg-type]  # its types know views without arguments only
    {
        "default-src": [NONE],
        "script-src": [NONE],
        "style-src": ["'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [SELF],
        "sandbox": ["allow-popups", "allow-popups-to-escape-sandbox"],
    }
)
def mail_html(request: HttpRequest, name: str) -> HttpResponse:
    """Serve a mail's HTML for the sandboxed frame: styles as mail has them, no script, pictures of ours only."""
    mail = mails.read(name)
    if mail is None:
        raise Http404
    # Links open beside the mailbox, as a mail program opens the browser.
    base = '<base target="_blank">'
    return HttpResponse(mail.html.replace("<head>", f"<head>{base}", 1) if "<head>" in mail.html else base + mail.html)


@demo_only
@require_POST
def mail_clear(request: HttpRequest) -> HttpResponse:
    """Delete every mail of the local mailbox."""
    count = mails.clear()
    messages.success(
        request, ngettext("%d mail deleted.", "%d mails deleted.", count) % count if count else _("It was empty.")
    )
    return redirect("mailbox:mail-list")
