"""My profile."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import member, member_required
from accounts.forms import ProfileForm
from accounts.services import profiles


@member_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show and save name, title, phone and photo."""
    user = member(request)
    form = ProfileForm(request.POST or None, request.FILES or None, instance=user)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        user.refresh_from_db()
        profiles.save(
            user,
            name=data["name"],
            title=data["title"],
            phone=data["phone"],
            photo=data["photo"],
            remove_photo=data["remove_photo"],
        )
        messages.success(request, _("Your profile is saved."))
        return redirect("accounts:profile")
    return render(request, "accounts/profile.html", {"form": form})
