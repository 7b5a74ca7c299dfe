"""The operators' and administrators' desk: Django's admin, opened by role (design.md §4)."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, URLResolver, path, reverse
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from pitch.lib.outages import AWAY

# App -> group of the side list, in this order; what is not named here follows in its own.
GROUPS = ("messaging", "videos", "templates_app", "accounts")


class PitchAdminSite(AdminSite):
    """Opens to administrators of an organization and to operators."""

    site_header = _("Pitch administration")
    site_title = _("Pitch administration")
    index_title = _("What needs attention")
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Say whether the signed-in user may enter the admin at all."""
        user = request.user
        return bool(user.is_authenticated and user.is_active and getattr(user, "is_staff", False))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send people to the one sign-in there is: Django's own form asks for the USERNAME_FIELD and knows no lock-out."""
        index = reverse("admin:index", current_app=self.name)
        if self.has_permission(request):
            return HttpResponseRedirect(index)
        if request.user.is_authenticated:
            raise Http404  # a member: there is nothing here
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or index)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Add the page "Sending", before the admin's own addresses, of which the last takes everything."""
        own = [path("sending/", self.admin_view(self.sending_view), name="sending")]
        return [*own, *super().get_urls()]

    def sending_view(self, request: HttpRequest) -> TemplateResponse:
        """Show queue, pumps, servers and what ended badly, of the own organization or, to operators, of all."""
        from messaging.services import operations
        from pitch import health, worker

        organization = getattr(request.user, "organization", None)
        try:
            ages = worker.ages()
        except AWAY:
            ages = {}
        context = self.each_context(request) | {
            "title": _t("Sending"),
            "scope": organization,
            "found": operations.gather(organization, ages),
            "limit": health.CLUSTER_LIMIT,
        }
        return TemplateResponse(request, "admin/sending.html", context)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Put what is sent first, then content, then people."""
        apps = super().get_app_list(request, app_label)
        return sorted(
            apps, key=lambda app: GROUPS.index(app["app_label"]) if app["app_label"] in GROUPS else len(GROUPS)
        )

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show four numbers and what has stopped, for the own organization or, to operators, for all."""
        # The models are not loaded yet when this module is: the site class is made while the apps start.
        from messaging.services import dashboard
        from pitch import health

        organization = getattr(request.user, "organization", None)
        findings = [
            {"state": found.state, "sentence": found.sentence, "url": _address(found.url)}
            for found in dashboard.findings(organization)
        ]
        words = [word for word in (check() for check in health.CHECKS.values()) if word != "ok"]
        machine = [{"state": "stopped", "sentence": word[:1].upper() + word[1:] + ".", "url": ""} for word in words]
        machine = machine or [{"state": "good", "sentence": _t("Database, queue and storage answer."), "url": ""}]
        context = {"numbers": dashboard.numbers(organization), "findings": [*machine, *findings], "scope": organization}
        return super().index(request, context | (extra_context or {}))


def _address(name: str) -> str:
    """Return the address of a finding: given as one, or as the name of an admin page that may not exist."""
    if not name or name.startswith("/"):
        return name
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
