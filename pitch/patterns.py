"""The pattern page: every component in every state, in demo mode only."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render


def patterns(request: HttpRequest) -> HttpResponse:
    """Show the pattern page; 404 outside the demo mode."""
    if settings.PITCH_MODE != "demo":
        raise Http404
    return render(request, "patterns.html")
