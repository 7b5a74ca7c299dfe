"""Who may come in: one decorator per role, one access function per noun. A stranger gets 404, never 403."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from accounts.models import Organization, User

View = Callable[..., HttpResponseBase]


def current_organization(request: HttpRequest) -> Organization | None:
    """Return the organization of this request (by host, else the signed-in user's), or None."""
    return getattr(request, "organization", None)


def member(request: HttpRequest) -> User:
    """Return the signed-in user of an organization; for views behind `member_required`."""
    assert isinstance(request.user, User)
    return request.user


def member_required(view: View) -> View:
    """Let in whoever is signed in to an organization.

    Others are sent to sign-in (a script gets 401, so that it can say so); an operator, who belongs to no organization, is shown
    the way to the admin.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if not user.is_authenticated:
            if request.headers.get("HX-Request") or "application/json" in request.headers.get("Accept", ""):
                return HttpResponse(status=401)
            return redirect_to_login(request.get_full_path())
        if user.organization_id is None:
            return render(request, "accounts/operator.html", status=404)
        return view(request, *args, **kwargs)

    return wrapped
