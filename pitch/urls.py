"""All addresses of the site; each app brings its own list."""

from django.contrib import admin
from django.urls import include, path

import messaging.public_urls
import messaging.urls
from pitch.metrics import metrics
from pitch.patterns import patterns

urlpatterns = [
    path("", include(([*messaging.urls.urlpatterns, *messaging.public_urls.urlpatterns], "messaging"))),
    path("", include("videos.urls")),
    path("", include("accounts.urls")),
    path("", include("templates_app.urls")),
    path("accounts/", include("accounts.sign_in_urls")),
    path("", include("api.urls")),
    path("mailbox/", include("pitch.mailbox.urls")),
    path("patterns/", patterns, name="patterns"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
]
