"""Which proxy speaks, and which organization is meant."""

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from accounts.models import Organization

GetResponse = Callable[[HttpRequest], HttpResponse]


class ProxyMiddleware:
    """Believes X-Forwarded-For and X-Forwarded-Proto only from TRUSTED_PROXIES, and drops them from anybody else."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Rewrite REMOTE_ADDR and the scheme, then answer."""
        forwarded_for = request.META.pop("HTTP_X_FORWARDED_FOR", "")
        forwarded_proto = request.META.pop("HTTP_X_FORWARDED_PROTO", "")
        request.META.pop("HTTP_X_FORWARDED_HOST", None)
        if self.is_trusted(request.META.get("REMOTE_ADDR", "")):
            # Read from the right: each trusted hop appended the address it saw.
            for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
                request.META["REMOTE_ADDR"] = hop
                if not self.is_trusted(hop):
                    break
            if forwarded_proto.split(",")[-1].strip() == "https":
                request.META["wsgi.url_scheme"] = "https"
                request.environ["wsgi.url_scheme"] = "https"  # type: ignore[attr-defined]
        return self.get_response(request)

    @staticmethod
    def is_trusted(address: str) -> bool:
        """Say whether `address` is inside TRUSTED_PROXIES."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in settings.TRUSTED_PROXIES)


class OrganizationMiddleware:
    """Sets `request.organization`: named by the host (`<slug>.<base domain>`), else that of the signed-in user."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set `request.organization`, then answer."""
        named = self.by_host(request)
        user = getattr(request, "user", None)
        own = user.organization if user is not None and user.is_authenticated else None
        if named is not None and own is not None and named != own:
            if request.path_info != reverse("accounts:whoami"):
                raise Http404  # signed in to one organization, looking at another's host: there is nothing here
            request.user, own = AnonymousUser(), None  # who is signed in here? nobody (design.md §2)
        request.organization = named or own  # type: ignore[attr-defined]
        return self.get_response(request)

    @staticmethod
    def by_host(request: HttpRequest) -> Organization | None:
        """Return the organization whose host this is; 404 for a host below the base domain that names none."""
        if not settings.PITCH_BASE_DOMAIN:
            return None
        host = request.get_host().rsplit(":", 1)[0].lower()
        slug, dot, rest = host.partition(".")
        own = urlsplit(settings.PITCH_BASE_URL).hostname  # may itself lie below the base domain: app.pitch.example
        if not dot or rest != settings.PITCH_BASE_DOMAIN or host == own:
            return None
        organization = Organization.objects.filter(slug=slug, is_active=True).first()
        if organization is None:
            raise Http404
        return organization
