"""The pattern page: every component in every state, in both themes; in the demo mode only."""

import re
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from pitch.templatetags.components import PILLS

SWATCHES = (
    "brand",
    "accent",
    "accent-hover",
    "accent-soft",
    "accent-soft-2",
    "bg",
    "surface",
    "surface-2",
    "surface-3",
    "line",
    "line-strong",
    "ink",
    "ink-2",
    "ink-3",
    "ok-solid",
    "warn-solid",
    "bad-solid",
    "info-solid",
    "odd-solid",
    "rec",
)
BRANDS = (
    ("petrol", _("Petrol, ours")),
    ("yellow", _("Sun yellow")),
    ("red", _("Signal red")),
    ("black", _("Near black")),
    ("mint", _("Mint")),
    ("violet", _("Violet")),
)


class SampleForm(forms.Form):
    """One field of each kind, two of them with something to mend."""

    subject = forms.CharField(label=_("Subject"), help_text=_("People read the first five words."), required=False)
    reply_to = forms.EmailField(
        label=_("Reply to"), error_messages={"invalid": _("The part after @ is not complete. Is .example missing?")}
    )
    language = forms.ChoiceField(label=_("Language"), choices=[("en", _("English"))], help_text=_("Of mail and page."))
    text = forms.CharField(label=_("Your reply"), widget=forms.Textarea(attrs={"rows": 3}), required=False)
    copy = forms.BooleanField(label=_("Copy to me, not counted"), required=False)
    terms = forms.BooleanField(
        label=_("I have read it"), error_messages={"required": _("Tick this box, then we can go on.")}
    )
    width = forms.ChoiceField(
        label=_("Width"), choices=[("d", _("Desktop")), ("p", _("Phone"))], widget=forms.RadioSelect
    )


def icon_names() -> list[str]:
    """Return the names of all glyphs in static/img/icons.svg, sorted."""
    path = finders.find("img/icons.svg")
    if not path:
        return []
    with open(path, encoding="utf-8") as file:
        return sorted(re.findall(r'<symbol id="i-([\w-]+)"', file.read()))


def _context() -> dict[str, Any]:
    form = SampleForm({"reply_to": "ben.ode@fjordlight", "language": "en", "width": "d", "copy": "on"})
    form.add_error(None, _("Two things need mending before this can be saved."))
    return {
        "swatches": SWATCHES,
        "brands": BRANDS,
        "form": form,
        "states": list(PILLS),
        "glyphs": icon_names(),
        "chips": [
            {"text": "Anna Torvald", "address": "anna@torvald.example"},
            {"text": "ليلى الحدّاد", "address": "layla@souq.example"},
            {"text": "paul@gmial.example", "state": "warn", "why": _("Did you mean gmail.example?")},
            {"text": "kein-at-zeichen.example", "state": "bad", "why": _("There is no @ in it.")},
            {"text": "Dr. Maximiliane Freifrau von Hohenstein-Wackerbarth zu Unterhausen"},
        ],
        "people": ["Anna Torvald", "Kofi Asante", "Priya Raman", "Lars Brandvold", "Zoë Marchetti", "ليلى الحدّاد"],
        "widths": [
            {"value": "desktop", "text": _("Desktop"), "icon": "desktop"},
            {"value": "phone", "text": _("Phone"), "icon": "phone"},
        ],
        "kinds": [{"value": "mail", "text": _("Mail")}, {"value": "landing", "text": _("Landing page")}],
        "names": {"anna": "Anna Torvald", "kofi": "Kofi Asante", "priya": "Priya Raman", "zoe": "Zoë Marchetti"},
        "mails": {"priya": "priya@raman.example", "lars": "lars.brandvold@torvald.example"},
        "sample_organization": {"name": "Fjordlight Energy"},
        "sender": {
            "name": "Ben Ode",
            "title": "Customer Success",
            "organization": "Fjordlight Energy",
            "email": "ben.ode@fjordlight.example",
            "phone": "+49 40 5550 0142",
        },
    }


@require_safe
def patterns(request: HttpRequest) -> HttpResponse:
    """Show the pattern page; 404 outside the demo mode. With `?messages` it also shows a toast and page banners."""
    if settings.PITCH_MODE != "demo":
        raise Http404
    if "messages" in request.GET:
        messages.success(request, _("The test mail is in your inbox."))
        messages.error(
            request, _("Your mailbox is not connected any more. Nothing can leave until you connect it again.")
        )
        messages.warning(request, _("This video has no captions yet."))
    return render(request, "patterns.html", _context())
