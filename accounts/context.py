"""What every template may use about the organization."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def organization(request: HttpRequest) -> dict[str, Any]:
    """Return `organization` (the tenant of this request, or None) and `demo` (whether this is the demo mode)."""
    return {"organization": getattr(request, "organization", None), "demo": settings.DEMO}
