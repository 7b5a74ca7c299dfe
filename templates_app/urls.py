"""Addresses of this app."""

from django.urls import URLPattern

app_name = "templates_app"
urlpatterns: list[URLPattern] = []
