"""Addresses of the demo's local mailbox."""

from django.urls import path

from pitch.mailbox import views

app_name = "mailbox"
urlpatterns = [
    path("", views.mail_list, name="mail-list"),
    path("clear", views.mail_clear, name="mail-clear"),
    path("<slug:name>/", views.mail_detail, name="mail-detail"),
    path("<slug:name>/html", views.mail_html, name="mail-html"),
]
