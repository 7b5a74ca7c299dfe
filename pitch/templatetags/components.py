"""Tags and filters of the components: icons, pills, avatars, the navigation, lengths of videos.

`{% icon "send" %}`, `{% pill delivery.state %}`, `{% avatar user.name %}`, `{% nav %}`,
`{{ video.duration_ms|length_of }}`.
"""

import zlib
from collections.abc import Iterable
from typing import Any

from django import forms, template
from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.forms import BoundField
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

register = template.Library()

# State (ours, of a delivery, a message, a video or a visit) -> look, glyph, words. The words never claim more than is
# known: a mail server that took a mail has accepted it; whether it reached the inbox only a webhook or a DSN can say.
PILLS: dict[str, tuple[str, str, str | Promise]] = {
    # deliveries (design.md §5)
    "queued": ("queued", "clock", gettext_lazy("Queued")),
    "leased": ("sending", "spin", gettext_lazy("Sending")),
    "deferred": ("deferred", "clock", gettext_lazy("Trying again")),
    "in_doubt": ("doubt", "q", gettext_lazy("In doubt")),
    "accepted": ("accepted", "check", gettext_lazy("Accepted by the mail server")),
    "delivered": ("delivered", "check", gettext_lazy("Delivered")),
    "bounced": ("bounced", "x", gettext_lazy("Bounced")),
    "dropped": ("bounced", "ban", gettext_lazy("Refused")),
    "error": ("bounced", "alert", gettext_lazy("Failed")),
    "skipped": ("dropped", "ban", gettext_lazy("Skipped")),
    "canceled": ("dropped", "ban", gettext_lazy("Canceled")),
    # messages
    "draft": ("queued", "pen", gettext_lazy("Draft")),
    "sending": ("sending", "spin", gettext_lazy("Sending")),
    "completed": ("accepted", "check", gettext_lazy("Sent")),
    "failed": ("bounced", "alert", gettext_lazy("Failed")),
    # videos
    "receiving": ("sending", "spin", gettext_lazy("Receiving")),
    "processing": ("sending", "spin", gettext_lazy("Converting")),
    "ready": ("delivered", "check", gettext_lazy("Ready")),
    # who it was
    "watched": ("watched", "play", gettext_lazy("Watched")),
    "visited": ("human", "eye", gettext_lazy("Opened the page")),
    "human": ("human", "people", gettext_lazy("A person")),
    "likely_automated": ("auto", "robot", gettext_lazy("Probably automated")),
    "automated": ("auto", "robot", gettext_lazy("Automated")),
    # health and settings
    "good": ("delivered", "check", gettext_lazy("Good")),
    "soon": ("deferred", "clock", gettext_lazy("Soon")),
    "stopped": ("bounced", "x", gettext_lazy("Stopped")),
    "active": ("delivered", "check", gettext_lazy("Active")),
    "inactive": ("queued", "ban", gettext_lazy("Switched off")),
}


@register.inclusion_tag("components/icon.html")
def icon(name: str, extra: str = "") -> dict[str, Any]:
    """Draw the glyph `name` of static/img/icons.svg; `extra` is more classes. Words always stand beside it."""
    return {"name": name, "extra": extra}


@register.inclusion_tag("components/pill.html")
def pill(state: str, text: str = "", glyph: str = "") -> dict[str, Any]:
    """Show a state as a pill: its look, a glyph and words. `text` replaces the words ("Trying again at 10:48")."""
    kind, usual_glyph, usual_text = PILLS.get(state, ("queued", "q", state))
    return {"kind": kind, "glyph": glyph or usual_glyph, "text": text or usual_text}


@register.filter
def state_words(state: str) -> str:
    """Return the words of a state without the pill, for sentences, alt texts and CSV."""
    return str(PILLS[state][2]) if state in PILLS else state


@register.filter
def initials(name: str) -> str:
    """Return one or two capital letters for a name or an address: "Anna Torvald" -> "AT", "x@y" -> "X"."""
    words = [word for word in str(name).split("@")[0].replace(".", " ").replace("_", " ").split() if word[0].isalnum()]
    if not words:
        return "?"
    letters = words[0][0] if len(words) == 1 else words[0][0] + words[-1][0]
    return letters.upper()


@register.filter
def hue(text: str) -> int:
    """Return a number from 1 to 6 that is always the same for the same text (avatar colours)."""
    return zlib.crc32(str(text).strip().lower().encode()) % 6 + 1


@register.inclusion_tag("components/avatar.html")
def avatar(name: str, photo: str = "", size: str = "") -> dict[str, Any]:
    """Draw the avatar of a person: the picture at `photo` (an address), else initials. `size`: "sm", "lg", "xl"."""
    return {"initials": initials(name), "hue": hue(name), "photo": photo, "size": size}


@register.filter
def length_of(milliseconds: int | None) -> str:
    """Return a length as "0:42", "12:05" or "1:02:03"; "" when it is not known yet."""
    if milliseconds is None:
        return ""
    seconds = round(milliseconds / 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@register.filter
def length_minutes(seconds: int) -> str:
    """Return a limit in words: 600 -> "10 minutes", 45 -> "45 seconds"."""
    if seconds % 60 == 0:
        return ngettext("%d minute", "%d minutes", seconds // 60) % (seconds // 60)
    return ngettext("%d second", "%d seconds", seconds) % seconds


@register.filter
def urgent(messages: Iterable[Message] | None) -> list[Message]:
    """Keep the warnings and errors among the messages of a request: they are banners."""
    return [message for message in _peek(messages) if message.level >= constants.WARNING]


@register.filter
def calm(messages: Iterable[Message] | None) -> list[Message]:
    """Keep the confirmations among the messages of a request: they are toasts."""
    return [message for message in _peek(messages) if message.level < constants.WARNING]


def _peek(messages: Any) -> list[Message]:
    # Going through the storage empties it for the next request, but it keeps the list for this one.
    return list(messages) if messages else []


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _current(view_name: str) -> str:
    """Say which entry of the navigation a view belongs to."""
    if view_name == "messaging:home" or view_name.startswith("videos:video-record"):
        return "studio"
    if view_name.startswith("messaging:"):
        return "messages"
    if view_name.startswith("videos:"):
        return "library"
    if view_name.startswith(("accounts:", "account_", "templates_app:")):
        return "profile"
    return ""


@register.inclusion_tag("components/nav.html", takes_context=True)
def nav(context: template.Context) -> dict[str, Any]:
    """Draw the navigation; the entry of the request's view (or of `nav` in the context) is current."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    current = context.get("nav") or _current(match.view_name if match else "")
    user = context.get("user")
    entries = [
        ("studio", "messaging:home", "camera", _("Studio"), False),
        ("messages", "messaging:message-list", "send", _("Messages"), False),
        ("library", "videos:video-list", "film", _("Library"), False),
        ("profile", "accounts:profile", "user", _("Profile"), True),
    ]
    if getattr(user, "is_staff", False):
        entries.append(("admin", "admin:index", "settings", _("Admin"), False))
    items = [
        {"url": _address(view), "icon": glyph, "label": label, "current": key == current, "phone_only": phone_only}
        for key, view, glyph, label, phone_only in entries
    ]
    return {
        "items": [item for item in items if item["url"]],
        "profile_url": _address("accounts:profile"),
        "current": current,
        "user": user,
        "organization": context.get("organization"),
    }


@register.inclusion_tag("components/field.html")
def field(
    bound: BoundField, label: str = "", hint: str | None = None, extra: str = "", autofocus: bool = False
) -> dict[str, Any]:
    """Draw a form's field with label, hint and errors, tied together for screen readers.

    `bound`: `form["email"]`. `label` and `hint` replace the field's own (an empty hint: none). `extra` is more classes
    on the control. Checkboxes become a `.check`, groups of radio buttons a `.choices`, everything else an `.input`.
    """
    widget = bound.field.widget
    kind = "input"
    if isinstance(widget, forms.CheckboxInput):
        kind = "check"
    elif isinstance(widget, (forms.RadioSelect, forms.CheckboxSelectMultiple)):
        kind = "choices"
    classes = " ".join(filter(None, ["input" if kind == "input" else "", widget.attrs.get("class", ""), extra]))
    attrs: dict[str, Any] = {"class": classes} if classes else {}
    if hint is not None:
        bound.help_text = hint  # Django points aria-describedby at the help text, so it must know
    label = label or str(bound.label or "")
    # allauth repeats the label inside the box; the label stands above it already.
    if str(widget.attrs.get("placeholder", "")).lower() in {str(bound.label).lower(), "email address"}:
        attrs["placeholder"] = False
    if autofocus:
        attrs["autofocus"] = True
    described = [f"{bound.auto_id}_helptext"] if bound.help_text else []
    described += [f"{bound.auto_id}_error"] if bound.errors else []
    if described:
        attrs["aria-describedby"] = " ".join(described)
    return {
        "field": bound,
        "kind": kind,
        "control": bound.as_widget(attrs=attrs),
        "label": label,
        "hint": bound.help_text,
    }


@register.simple_block_tag
def card(content: str, title: str = "", level: int = 2, extra: str = "") -> str:
    """Wrap content in a card, with a head when there is a title. Rows and tables go in as they are."""
    return render_to_string(
        "components/card.html", {"content": content, "title": title, "level": level, "extra": extra}
    )


@register.simple_block_tag
def fold(content: str, summary: str, is_open: bool = False) -> str:
    """Wrap content in a disclosure: true, but not the answer."""
    return render_to_string("components/fold.html", {"content": content, "summary": summary, "is_open": is_open})


@register.simple_block_tag
def banner(content: str, kind: str = "info", glyph: str = "") -> str:
    """Wrap content in a banner about this page. `kind`: "info", "ok", "warn", "bad". Buttons follow the text in it."""
    glyph = glyph or {"ok": "check", "info": "info"}.get(kind, "alert")
    return render_to_string("components/banner.html", {"content": content, "kind": kind, "glyph": glyph})


@register.simple_block_tag
def empty(content: str, title: str, art: str = "video") -> str:
    """Wrap content (one sentence, one plain button) in an empty state. `art`: "video", "mail", "search", "people"."""
    return render_to_string("components/empty.html", {"content": content, "title": title, "art": art})


@register.simple_block_tag
def dialog(content: str, id: str, title: str) -> str:
    """Wrap content in a dialog, opened by `<button data-dialog-open="id">`. Only for what cannot be undone.

    The content brings its own `.dialog__body` and `.dialog__foot`, usually inside one form.
    """
    return render_to_string("components/dialog.html", {"content": content, "id": id, "title": title})


@register.simple_block_tag
def tablewrap(content: str, label: str) -> str:
    """Wrap a `<table class="table table--stack">` in a card that scrolls by itself and can be reached by keyboard."""
    return render_to_string("components/table.html", {"content": content, "label": label})
