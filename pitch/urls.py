"""All addresses of the site; each app brings its own list."""

from django.contrib import admin
from django.urls import include, path

from pitch.health import healthz
from pitch.patterns import patterns

urlpatterns = [
    path("", include("messaging.urls")),
    path("", include("messaging.public_urls")),
    path("", include("videos.urls")),
    path("", include("accounts.urls")),
    path("", include("templates_app.urls")),
    path("accounts/", include("accounts.sign_in_urls")),
    path("mailbox/", include("pitch.mailbox.urls")),
    path("patterns/", patterns, name="patterns"),
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
]
