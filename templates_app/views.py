"""The signature page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import member, member_required
from templates_app.services import signatures


@member_required
@require_http_methods(["GET", "HEAD", "POST"])
def signature_edit(request: HttpRequest) -> HttpResponse:
    """Show and save the user's signature."""
    user = member(request)
    if request.method == "POST":
        signatures.save_default(user, request.POST.get("html", ""))
        messages.success(request, _("Your signature is saved. It stands under your next message."))
        return redirect("templates_app:signature-edit")
    signature = signatures.default_for(user)
    return render(request, "templates_app/signature.html", {"html": signature.html if signature else ""})
