"""Addresses that visitors without an account use; they live in the namespace `messaging`."""

from django.urls import path

from messaging.views import landing, unsubscribe

urlpatterns = [
    path("v/<str:token>", landing.landing, name="landing"),
    path("v/<str:token>/beacon", landing.beacon, name="landing-beacon"),
    path("u/<str:token>", unsubscribe.unsubscribe, name="unsubscribe"),
]
