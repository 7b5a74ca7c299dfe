"""The operators' and administrators' desk: Django's admin, opened by role (design.md §4)."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


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
