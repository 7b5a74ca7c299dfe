"""The organization's colour and logo, as files that pages and mails load."""

import hashlib

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from accounts.models import Organization, User


def picture_response(content: bytes) -> HttpResponse:
    """Serve a picture that was re-encoded by us: PNG, nothing to sniff, nothing to run (abuse case A22)."""
    response = HttpResponse(content, content_type="image/png")
    response["Content-Disposition"] = 'inline; filename="picture.png"'
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@require_safe
def brand_css(request: HttpRequest, code: str) -> HttpResponse:
    """Serve the one rule an organization's style sheet has."""
    color = Organization.objects.filter(code=code).values_list("brand_color", flat=True).first()
    if color is None:
        raise Http404
    tag = f'"{hashlib.sha256(color.encode()).hexdigest()[:16]}"'
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(f":root {{ --brand: {color}; }}\n", content_type="text/css; charset=utf-8")
    response["ETag"] = tag
    response["Cache-Control"] = "public, max-age=300"
    return response


@require_safe
def brand_logo(request: HttpRequest, code: str) -> HttpResponse:
    """Serve an organization's logo."""
    organization = get_object_or_404(Organization, code=code)
    if not organization.logo:
        raise Http404
    with organization.logo.open("rb") as file:
        response = picture_response(file.read())
    response["Cache-Control"] = "public, max-age=3600"
    return response


@require_safe
def user_photo(request: HttpRequest, code: str) -> HttpResponse:
    """Serve a sender's photo: it stands on landing pages, so the random code is the only key."""
    user = get_object_or_404(User, code=code, is_active=True)
    if not user.photo:
        raise Http404
    with user.photo.open("rb") as file:
        response = picture_response(file.read())
    response["Cache-Control"] = "private, max-age=3600"
    return response
