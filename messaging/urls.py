"""Addresses of messages for those who are signed in; public_urls has the rest of the namespace."""

from django.urls import path

from messaging.views import compose, home, messages, previews, resending, sending

app_name = "messaging"
urlpatterns = [
    path("", home.home, name="home"),
    path("messages/", messages.message_list, name="message-list"),
    path("messages/new", messages.message_create, name="message-create"),
    path("messages/<slug:code>/", sending.message_detail, name="message-detail"),
    path("messages/<slug:code>/rows", sending.message_rows, name="message-rows"),
    path("messages/<slug:code>/edit", compose.message_edit, name="message-edit"),
    path("messages/<slug:code>/draft", compose.draft_save, name="draft-save"),
    path("messages/<slug:code>/send", compose.message_send, name="message-send"),
    path("messages/<slug:code>/test", compose.message_test, name="message-test"),
    path("messages/<slug:code>/preflight", compose.message_preflight, name="message-preflight"),
    path("messages/<slug:code>/undo", sending.message_undo, name="message-undo"),
    path("messages/<slug:code>/cancel", sending.message_cancel, name="message-cancel"),
    path("messages/<slug:code>/pause", resending.message_pause, name="message-pause"),
    path("messages/<slug:code>/resume", resending.message_resume, name="message-resume"),
    path("messages/<slug:code>/resend", resending.message_resend, name="message-resend"),
    path(
        "messages/<slug:code>/deliveries/<slug:delivery_code>/address",
        resending.delivery_readdress,
        name="delivery-readdress",
    ),
    path("messages/<slug:code>/duplicate", messages.message_duplicate, name="message-duplicate"),
    path("messages/<slug:code>/delete", messages.message_delete, name="message-delete"),
    path("messages/<slug:code>/preview/mail", previews.preview_mail, name="preview-mail"),
    path("messages/<slug:code>/preview/landing", previews.preview_landing, name="preview-landing"),
    path("messages/<slug:code>/snippet/<slug:delivery_code>", sending.delivery_snippet, name="delivery-snippet"),
    path("tests/<slug:code>", compose.test_state, name="test-state"),
    path("recipients/parse", compose.recipients_parse, name="recipients-parse"),
    path("recipients/search", compose.recipient_search, name="recipient-search"),
]
