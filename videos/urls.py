"""Addresses of videos: recorder, uploads, library, media."""

from django.urls import path

from videos.views import library, media, recorder, uploads

app_name = "videos"
urlpatterns = [
    path("record/", recorder.record, name="video-record"),
    path("uploads/", uploads.upload_create, name="upload-create"),
    path("uploads/<slug:code>", uploads.upload_resource, name="upload-resource"),
    path("uploads/<slug:code>/finish", uploads.upload_finish, name="upload-finish"),
    path("videos/", library.video_list, name="video-list"),
    path("videos/<slug:code>/", library.video_detail, name="video-detail"),
    path("videos/<slug:code>/rename", library.video_rename, name="video-rename"),
    path("videos/<slug:code>/delete", library.video_delete, name="video-delete"),
    path("videos/<slug:code>/status", library.video_status, name="video-status"),
    path("media/<slug:code>/<slug:kind>/<int:expires>/<str:mac>/<str:name>", media.media_file, name="media"),
]
