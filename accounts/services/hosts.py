"""Absolute addresses: only ever from configuration, never from a request's Host header (abuse case A37)."""

from urllib.parse import urlsplit

from django.conf import settings

from accounts.models import Organization


def base_url(organization: Organization | None = None) -> str:
    """Return the address (scheme and host, no slash at the end) an organization is reached at.

    With PITCH_BASE_DOMAIN each organization has a host of its own (R396), else all share PITCH_BASE_URL.
    """
    if organization is None or not settings.PITCH_BASE_DOMAIN:
        return str(settings.PITCH_BASE_URL)
    parts = urlsplit(settings.PITCH_BASE_URL)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{organization.slug}.{settings.PITCH_BASE_DOMAIN}{port}"
