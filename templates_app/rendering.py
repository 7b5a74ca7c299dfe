"""The built-in mail: one good design, a hand-made text part, links and colours given by the caller."""

from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.safestring import SafeString, mark_safe

from accounts.services.branding import Palette
from templates_app import sanitize


@dataclass(frozen=True)
class MailContext:
    """What the built-in design needs. Addresses are absolute; `text_html` and `signature_html` are sanitised already.

    `length` is the video's as "0:42", `spoken_length` as "42 seconds"; `recipient_name` may be empty.
    """

    subject: str
    recipient_name: str
    sender_name: str
    organization_name: str
    text_html: str
    signature_html: str
    landing_url: str
    unsubscribe_url: str
    thumbnail_url: str
    logo_url: str
    length: str
    spoken_length: str
    palette: Palette
    language: str = "en"


@dataclass(frozen=True)
class RenderedMail:
    """A finished mail: subject, HTML part, text part."""

    subject: str
    html: str
    text: str


def _inline_paragraphs(html: str) -> SafeString:
    """Give the sanitised text the inline styles that mail programs need."""
    styled = html.replace("<p>", '<p style="margin:0 0 14px">')
    styled = styled.replace(
        "<blockquote>", '<blockquote style="margin:0 0 14px;padding-left:14px;border-left:3px solid #d8d4cc">'
    )
    for tag in ("ul", "ol"):
        styled = styled.replace(f"<{tag}>", f'<{tag} style="margin:0 0 14px;padding-left:22px">')
    return mark_safe(styled)


def render_mail(context: MailContext) -> RenderedMail:
    """Return the mail for one recipient (R382–R386: a text and an HTML part, pictures by address, links, no attachment)."""
    values = {
        "mail": context,
        "text_html": _inline_paragraphs(context.text_html),
        "signature_html": _inline_paragraphs(context.signature_html),
        "text": sanitize.to_text(context.text_html),
        "signature": sanitize.to_text(context.signature_html),
        "bare_link": context.landing_url.split("://", 1)[-1],
    }
    with translation.override(context.language):
        html = render_to_string("templates_app/mail/message.html", values)
        text = render_to_string("templates_app/mail/message.txt", values)
    return RenderedMail(context.subject, html, text.strip() + "\n")
