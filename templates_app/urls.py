"""Addresses of what mails and pages look like."""

from django.urls import path

from templates_app import views

app_name = "templates_app"
urlpatterns = [path("profile/signature/", views.signature_edit, name="signature-edit")]
