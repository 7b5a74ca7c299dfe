"""Addresses that visitors without an account use."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
