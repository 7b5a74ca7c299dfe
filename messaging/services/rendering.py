"""From a message and one recipient to a finished mail."""

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Organization
from accounts.services import branding, hosts
from messaging import links, mime
from messaging.models import Delivery, EmailProvider, Message
from messaging.services import landing, providers
from templates_app.rendering import MailContext, RenderedMail, render_mail
from videos.pictures import length_text
from videos.services import media


def spoken_length(duration_ms: int | None) -> str:
    """Return a length in words: "42 seconds", "2 minutes 5 seconds"; never nothing."""
    return landing.spoken_length(duration_ms) or ngettext("%d second", "%d seconds", 1) % 1


def logo_url(organization: Organization, base: str) -> str:
    """Return the address of the organization's logo below `base`, or nothing."""
    if not organization.logo:
        return ""
    return base + reverse("accounts:brand-logo", args=[organization.code])


def render(
    message: Message, *, recipient_name: str, landing_url: str, unsubscribe_url: str, base: str | None = None
) -> RenderedMail:
    """Render a Pitch message for one recipient; the same input renders the same bytes.

    `base` is put before the pictures' paths: the organization's address, or "" in a preview, which may be looked at under
    another name of this host.
    """
    assert message.sender is not None
    organization, video = message.organization, message.video
    duration = video.duration_ms if video is not None else None
    base = hosts.base_url(organization) if base is None else base
    context = MailContext(
        subject=message.subject or _("A video for you"),
        recipient_name=landing.first_name(recipient_name),
        sender_name=message.sender.get_full_name(),
        organization_name=organization.name,
        text_html=message.text_html,
        signature_html=message.signature_html,
        landing_url=landing_url,
        unsubscribe_url=unsubscribe_url,
        thumbnail_url=base + media.thumbnail_url(video) if video is not None else "",
        logo_url=logo_url(organization, base),
        length=length_text(duration or 0),
        spoken_length=spoken_length(duration),
        palette=branding.palette(organization.brand_color),
        language=message.language,
    )
    return render_mail(context)


def reply_to(message: Message, provider: EmailProvider) -> mime.Mailbox | None:
    """Return where answers go, if that is set anywhere (R381): by the sender, the provider, or as From is not a person."""
    assert message.sender is not None
    if message.reply_to:
        return mime.Mailbox("", message.reply_to)
    configured = providers.reply_to(provider)
    if configured is not None:
        return configured
    if provider.sender_mode == EmailProvider.SenderMode.SERVICE:
        return mime.Mailbox(message.sender.name, message.sender.email)
    return None


def author(message: Message, provider: EmailProvider) -> mime.Mailbox:
    """Return From: the person who wrote, or the service in that person's name."""
    assert message.sender is not None
    name, address = message.sender.name, message.sender.email
    if provider.sender_mode != EmailProvider.SenderMode.SERVICE:
        return mime.Mailbox(name, address)
    via = _("%(name)s via %(organization)s") % {"name": name or address, "organization": message.organization.name}
    return mime.Mailbox(via, provider.from_address)


def agent(provider: EmailProvider, sender: mime.Mailbox) -> mime.Mailbox | None:
    """Return Sender (RFC 5322 §3.6.2): the service address when it hands in the mail of somebody else."""
    if provider.sender_mode != EmailProvider.SenderMode.ON_BEHALF or provider.from_address == sender.address:
        return None
    return mime.Mailbox(provider.from_name, provider.from_address)


def letter_for(delivery: Delivery, provider: EmailProvider) -> mime.Letter:
    """Return the mail for one delivery (design.md §5.8): To is that person only, a Bcc copy names nobody."""
    message = delivery.message
    assert message.sender is not None
    unsubscribe_url = "" if message.is_test else links.unsubscribe_url(delivery)
    rendered = render(
        message,
        recipient_name=delivery.name,
        landing_url=links.landing_url(delivery),
        unsubscribe_url=unsubscribe_url,
    )
    is_bcc = delivery.kind != Delivery.Kind.PRIMARY
    sender = author(message, provider)
    return mime.Letter(
        sender=sender,
        to=None if is_bcc else mime.Mailbox(delivery.name, delivery.address),
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        message_id=delivery.internet_message_id,
        date=delivery.date,
        reply_to=reply_to(message, provider),
        on_behalf_of=agent(provider, sender),
        unsubscribe_url=unsubscribe_url,
    )
