"""Who am I, and invitations."""

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms import InvitationForm
from accounts.models import User
from accounts.services import invitations


@never_cache
@require_safe
def whoami(request: HttpRequest) -> JsonResponse:
    """Answer who is signed in (design.md §2), 401 if nobody is."""
    user = request.user
    if not isinstance(user, User):
        return JsonResponse({"error": "nobody is signed in"}, status=401)
    slug = user.organization.slug if user.organization else None
    return JsonResponse({"email": user.email, "organization": slug})


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_accept(request: HttpRequest, token: str) -> HttpResponse:
    """Show the invitation (GET changes nothing) and, on POST, make the account and sign in."""
    invitation = invitations.find(token)
    if invitation is None:
        return render(request, "accounts/invitation_gone.html", status=404)
    form = InvitationForm(
        request.POST or None,
        email=invitation.email,
        initial={"name": invitation.name},
    )
    if request.method == "POST" and form.is_valid():
        try:
            user = invitations.accept(
                invitation, name=form.cleaned_data["name"], password=form.cleaned_data["password"]
            )
        except invitations.CannotInvite as err:
            form.add_error(None, str(err))
        else:
            request.session.flush()  # whoever was signed in on this computer is not the invited one
            login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
            return redirect("/")
    context = {"form": form, "invitation": invitation, "organization": invitation.organization}
    return render(request, "accounts/invitation.html", context)
