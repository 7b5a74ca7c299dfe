"""The look: components and their page, error pages, sign-in pages, the rules every template keeps."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.staticfiles import finders
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpResponse
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import Client
from django.urls import include, path

from messaging.models import Delivery, Message
from messaging.models.visits import Verdict
from pitch.templatetags.components import PILLS, hue, initials, length_of
from videos.models import Video

ROOT = Path(django_settings.BASE_DIR)
COMPONENTS = sorted((ROOT / "pitch/templates/components").glob("*.html"))
# Parts of the page's frame, not things to look at.
FRAME = {"components/htmx_meta.html"}


def _templates() -> list[Path]:
    """Return every HTML template of ours, mail templates (whose styles must be inline) left out."""
    folders = [ROOT / app / "templates" for app in ("pitch", "accounts", "templates_app", "videos", "messaging")]
    found = [file for folder in folders for file in sorted(folder.rglob("*.html"))]
    return [file for file in found if not {"email", "emails", "mail", "mails"} & set(file.parts)]


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


# ---- the pattern page ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_pattern_page_shows_every_component(client):
    response = client.get("/patterns/?messages")
    assert response.status_code == 200
    shown = {template.name for template in response.templates}
    assert {f"components/{file.name}" for file in COMPONENTS} - FRAME - shown == set()


@pytest.mark.django_db
def test_pattern_page_shows_every_state_and_glyph(client):
    html = client.get("/patterns/").content.decode()
    for kind, _glyph, words in PILLS.values():
        assert f"pill--{kind}" in html
        assert str(words) in html
    sprite = Path(finders.find("img/icons.svg")).read_text(encoding="utf-8")
    for glyph in re.findall(r'id="(i-[\w-]+)"', sprite):
        assert f"icons.svg#{glyph}" in html


def test_pattern_page_exists_in_the_demo_only(client, settings):
    settings.PITCH_MODE = "production"
    assert client.get("/patterns/").status_code == 404


def test_every_glyph_that_a_template_names_exists():
    sprite = Path(finders.find("img/icons.svg")).read_text(encoding="utf-8")
    known = set(re.findall(r'id="i-([\w-]+)"', sprite))
    named = {glyph for _kind, glyph, _words in PILLS.values()}
    for file in _templates():
        text = file.read_text(encoding="utf-8")
        named |= set(re.findall(r'\{% icon "([\w-]+)"', text))
        named |= set(re.findall(r'components/\w+\.html" with [^%]*?\bicon="([\w-]+)"', text))
    assert named <= known, named - known


# ---- words for states ---------------------------------------------------------------------------------------------------


def test_every_state_has_a_pill():
    states = [*Delivery.State.values, *Message.Status.values, *Video.State.values, *Verdict.values]
    assert set(states) - set(PILLS) == set()


def test_accepted_never_says_delivered():
    words = [str(words) for state, (_kind, _glyph, words) in PILLS.items() if state != "delivered"]
    assert [word for word in words if "deliver" in word.lower()] == []
    assert str(PILLS["accepted"][2]) == "Accepted by the mail server"


def test_a_pill_can_say_more():
    html = Template('{% load components %}{% pill "deferred" "Trying again at 10:48" %}').render(Context())
    assert "pill--deferred" in html
    assert "Trying again at 10:48" in html


def test_an_unknown_state_is_shown_as_it_is():
    html = Template("{% load components %}{% pill state %}").render(Context({"state": "<odd>"}))
    assert "&lt;odd&gt;" in html


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Anna Torvald", "AT"),
        ("anna.torvald@acme.test", "AT"),
        ("Priya", "P"),
        ("Dr. Maximiliane Freifrau von Hohenstein", "DH"),
        ("", "?"),
        ("@", "?"),
        ("(Anna) [Torvald] Lind", "L"),
        ("ليلى الحدّاد", "لا"),
    ],
)
def test_initials(name, letters):
    assert initials(name) == letters


def test_hue_is_steady_and_in_range():
    hues = {hue(f"person {number}") for number in range(60)}
    assert hues == {1, 2, 3, 4, 5, 6}
    assert hue("Anna Torvald") == hue(" anna torvald ")


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (None, ""),
        (0, "0:00"),
        (400, "0:00"),
        (600, "0:01"),
        (42_000, "0:42"),
        (59_600, "1:00"),
        (725_000, "12:05"),
        (3_723_000, "1:02:03"),
    ],
)
def test_length_of_a_video(milliseconds, words):
    assert length_of(milliseconds) == words


# ---- error pages --------------------------------------------------------------------------------------------------------


def _raise(error):
    def view(request):
        raise error

    return view


def _hello(request):
    return HttpResponse("hello")


urlpatterns = [
    path("forbidden/", _raise(PermissionDenied())),
    path("forbidden-because/", _raise(PermissionDenied("Only editors may change this template."))),
    path("strange/", _raise(BadRequest())),
    path("broken/", _raise(RuntimeError("the inner reason"))),
    path("post/", _hello),
    path("", include("accounts.urls")),
    path("accounts/", include("allauth.account.urls")),
]


@pytest.mark.django_db
@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/nothing/", 404, "There is nothing at this address"),
        ("/forbidden/", 403, "You may not do this"),
        ("/forbidden-because/", 403, "Only editors may change this template."),
        ("/strange/", 400, "We did not understand that"),
        ("/broken/", 500, "Something went wrong on our side"),
    ],
)
def test_errors_are_sentences_with_a_way_on(address, status, words):
    response = Client(raise_request_exception=False).get(address)
    html = response.content.decode()
    assert response.status_code == status
    assert words in html
    assert 'href="/"' in html
    assert "the inner reason" not in html


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_a_refused_form_says_what_to_do():
    response = Client(enforce_csrf_checks=True).post("/post/")
    assert response.status_code == 403
    assert "reload the page and send it again" in response.content.decode()


def test_the_page_for_our_own_faults_leans_on_nothing():
    # No request, no context, no database (this test has none), no style sheet with a name that changes.
    html = render_to_string("500.html")
    for address in re.findall(r'(?:href|src)="([^"]+)"', html):
        assert address == "/" or finders.find(address.removeprefix("/static/")), address


# ---- sign-in ------------------------------------------------------------------------------------------------------------


class _Form(HTMLParser):
    """Collects labels with what they belong to, and buttons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.labels: dict[str, str] = {}
        self.ids: set[str] = set()
        self.buttons: list[str] = []
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.add(attributes["id"])
        self._open = attributes.get("for", "") if tag == "label" else "button" if tag == "button" else self._open

    def handle_endtag(self, tag):
        if tag in {"label", "button"}:
            self._open = ""

    def handle_data(self, data):
        if self._open == "button" and data.strip():
            self.buttons.append(data.strip())
        elif self._open and data.strip():
            self.labels[data.strip()] = self._open


@pytest.mark.django_db
def test_sign_in_has_the_names_of_the_contract(client):
    form = _Form(client.get("/accounts/login/").content.decode())
    assert {"Email", "Password"} <= set(form.labels)
    assert {form.labels["Email"], form.labels["Password"]} <= form.ids
    assert "Sign in" in form.buttons


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/accounts/password/reset/", "Forgot your password?"),
        ("/accounts/password/reset/done/", "Look into your inbox"),
        ("/accounts/password/reset/key/x-y/", "This link does not work any more"),
        ("/accounts/password/reset/key/done/", "Your password is changed"),
        ("/accounts/inactive/", "This account is switched off"),
        ("/accounts/signup/", "Accounts are made by invitation"),
    ],
)
def test_the_pages_around_sign_in_are_ours(client, address, words):
    html = client.get(address, follow=True).content.decode()
    assert f"<h1>{words}</h1>" in html


@pytest.mark.django_db
@pytest.mark.req("R397")
def test_pages_load_nothing_from_other_hosts(client):
    for address in ("/accounts/login/", "/patterns/"):
        response = client.get(address)
        policy = response.headers["Content-Security-Policy"]
        sources = {word for rule in policy.split(";") for word in rule.split()[1:]}
        assert sources <= {"'self'", "'none'", "data:", "blob:"}, policy
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//', response.content.decode()) == []
    for file in sorted((ROOT / "static/css").glob("*.css")):
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"@import|url\(\s*[\"']?(?:https?:)?//", text) == [], file.name


# ---- rules that every template keeps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", _templates(), ids=_name)
def test_no_inline_style_and_no_inline_script(file):
    text = re.sub(r"\{% comment %\}.*?\{% endcomment %\}", "", file.read_text(encoding="utf-8"), flags=re.S)
    assert re.findall(r"<style\b|\sstyle\s*=|\son[a-z]+\s*=|javascript:", text) == []
    for attributes in re.findall(r"<script\b([^>]*)>", text):
        assert "src=" in attributes or 'type="application/json"' in attributes, attributes


class _VisibleText(HTMLParser):
    """Collects the words a reader would see or hear that stand in a template as they are."""

    SPOKEN = {"aria-label", "title", "alt", "placeholder", "aria-description"}
    SILENT = {"script", "style", "code"}

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag, attrs):
        self._silent += tag in self.SILENT
        self.found += [value for key, value in attrs if key in self.SPOKEN and value and re.search(r"[^\W\d_]", value)]

    def handle_endtag(self, tag):
        self._silent -= tag in self.SILENT

    def handle_data(self, data):
        if not self._silent and re.search(r"[^\W\d_]", data):
            self.found.append(data.strip())


# Texts that partials take as arguments; a name in quotes without _( ) would never be translated.
ARGUMENTS = ["text", "label", "title", "hint", "summary", "why", "said", "status", "back_label", "verified", "alt"]


@pytest.mark.parametrize("file", _templates(), ids=_name)
def test_every_visible_text_goes_through_gettext(file):
    text = re.sub(r"\{% comment %\}.*?\{% endcomment %\}|\{#.*?#\}", "", file.read_text(encoding="utf-8"), flags=re.S)
    for tag in re.findall(r"\{% (?!translate|trans |blocktrans|if |elif )(.*?)%\}", text, flags=re.S):
        assert re.findall(rf'\b(?:{"|".join(ARGUMENTS)})="[^"]*[^\W\d_]', tag) == [], tag
    text = re.sub(r"\{% block bodyattrs %\}.*?\{% endblock %\}", "", text, flags=re.S)  # inside a tag of the parent
    text = re.sub(r"\{% blocktrans(?:late)?\b.*?\{% endblocktrans(?:late)? %\}", "", text, flags=re.S)
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.S)
    parser = _VisibleText()
    parser.feed(text)
    # The name of the product and the beginning of an address are the same in every language.
    same = re.compile(r"[·\s]*\bPitch\b|^https?://$")
    assert [words for words in parser.found if same.sub("", words).strip()] == []


@pytest.mark.parametrize("file", sorted((ROOT / "static/css").glob("*.css")), ids=_name)
def test_style_sheets_are_whole(file):
    text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.S)
    assert text.count("{") == text.count("}")
    used = set(re.findall(r"var\((--[\w-]+)\)", text))  # those with a value of last resort are optional
    everywhere = "".join(sheet.read_text(encoding="utf-8") for sheet in (ROOT / "static/css").glob("*.css"))
    assert used - set(re.findall(r"(--[\w-]+)\s*:", everywhere)) == set()


# ---- navigation ---------------------------------------------------------------------------------------------------------


class _Navigation(HTMLParser):
    """Collects the links of the main navigation: words to address, and which one is current."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.current: list[str] = []
        self._inside = False
        self._link: dict[str, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "nav":
            self._inside = attributes.get("class") == "nav"
        if self._inside and tag == "a":
            self._link = attributes

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "nav"
        if tag == "a":
            self._link = {}

    def handle_data(self, data):
        if self._inside and self._link.get("class") == "nav__link" and data.strip():
            self.links[data.strip()] = self._link["href"]
            if "aria-current" in self._link:
                self.current.append(data.strip())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "current"),
    [
        ("/", "Studio"),
        ("/messages/", "Messages"),
        ("/videos/", "Library"),
        ("/profile/", "Profile"),
        ("/profile/signature/", "Profile"),
    ],
)
def test_navigation_says_where_one_is(signed_in, alice, address, current):
    navigation = _Navigation(signed_in(alice).get(address).content.decode())
    assert navigation.links == {"Studio": "/", "Messages": "/messages/", "Library": "/videos/", "Profile": "/profile/"}
    assert navigation.current == [current]


@pytest.mark.django_db
def test_only_those_with_a_role_see_the_way_to_the_admin(signed_in, ada):
    navigation = _Navigation(signed_in(ada).get("/profile/").content.decode())
    assert navigation.links["Admin"] == "/admin/"
