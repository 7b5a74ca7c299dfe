"""Addresses of the programs' edges; a KS authorizes each call, a cookie none."""

from django.urls import path

from api import mail_config

app_name = "api"
urlpatterns = [
    path("digitanium/v4/mail/config", mail_config.config, name="mail-config"),
    path("auth/realms/<str:tenant>/mail/setup", mail_config.setup, name="mail-setup"),
]
