"""Addresses of organizations and people; sign-in itself is django-allauth's."""

from django.urls import path

from accounts.views import brand, profile, sessions

app_name = "accounts"
urlpatterns = [
    path("accounts/whoami", sessions.whoami, name="whoami"),
    path("accounts/invitations/<str:token>", sessions.invitation_accept, name="invitation-accept"),
    path("profile/", profile.profile, name="profile"),
    path("brand/<slug:code>.css", brand.brand_css, name="brand-css"),
    path("brand/<slug:code>/logo", brand.brand_logo, name="brand-logo"),
    path("people/<slug:code>/photo", brand.user_photo, name="user-photo"),
]
