"""Compose and the message page in a real browser: chips, saving while typing, copying."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Person
from messaging.models import Delivery, EmailProvider, Message
from messaging.services import composing, drafts, results
from messaging.services.drafts import DraftFields
from messaging.services.recipients import ParsedAddress
from tests.browser import sign_in
from tests.conftest import PASSWORD
from videos.models import Video

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def video(acme, alice):
    return Video.objects.create(
        organization=acme, owner=alice, state="ready", duration_ms=42_000, width=320, height=180, title="Two answers",
        video_path="videos/x/video.mp4", poster_path="videos/x/poster.jpg", thumbnail_path="videos/x/thumbnail.jpg",
    )  # fmt: skip


@pytest.fixture
def draft(alice, video, acme):
    EmailProvider.objects.create(organization=acme, host="127.0.0.1", port=2525, security="starttls")
    return drafts.create(alice, video)


def save(draft, subject=""):
    """Save the draft as another tab would."""
    draft.refresh_from_db()
    anna = [ParsedAddress("Anna", "anna@torvald.example")]
    fields = DraftFields(version=draft.draft_version, to=anna, subject=subject, video=draft.video.code)
    return drafts.save(draft, fields)


@pytest.fixture
def compose(page, live_server, draft):
    """The compose page of alice's draft."""
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/messages/{draft.code}/edit")
    expect(page.get_by_role("toolbar")).to_be_visible()
    return page


def box(page, name):
    return page.get_by_role("combobox", name=name, exact=True)


def chips(page, name):
    return page.get_by_role("list", name=f"In {name}").get_by_role("listitem")


def paste(page, name, text):
    box(page, name).evaluate(
        """(field, text) => { const data = new DataTransfer(); data.setData('text', text);
        field.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})) }""",
        text,
    )


@pytest.mark.req("R376", "R377")
def test_the_twenty_first_is_refused_at_once_and_said(compose):
    for name in ("To", "Bcc"):
        paste(compose, name, "\n".join(f"Person {n} <{name.lower()}{n}@many.example>" for n in range(21)))
        expect(chips(compose, name)).to_have_count(20)
        expect(compose.locator(f"#{name.lower()}-hint")).to_contain_text("At most 20 addresses fit here")
        expect(compose.locator(f"#{name.lower()}-hint")).to_contain_text(f"{name.lower()}20@many.example was not added")
        expect(compose.locator(f"#{name.lower()}-hint")).to_contain_text("20 of 20")


def test_typed_pasted_removed_and_duplicates_pointed_out(compose):
    to = box(compose, "To")
    to.fill("anna@torvald.example")
    to.press("Enter")
    expect(chips(compose, "To")).to_have_count(1)
    paste(compose, "To", '"Asante, Kofi" <kofi@asante.example>; priya@raman.example, ANNA@torvald.example')
    expect(chips(compose, "To")).to_have_count(3)
    expect(chips(compose, "To").nth(1)).to_contain_text("Asante, Kofi")
    expect(compose.locator("#to-hint")).to_contain_text("in the list already")
    box(compose, "Bcc").fill("kofi@asante.example")
    box(compose, "Bcc").press("Tab")
    expect(compose.locator("#bcc-hint")).to_contain_text("in the list already")
    expect(chips(compose, "Bcc")).to_have_count(0)
    to.press("Backspace")
    expect(chips(compose, "To")).to_have_count(2)
    compose.get_by_role("button", name="Remove anna@torvald.example").click()
    expect(chips(compose, "To")).to_have_count(1)


def test_a_typing_mistake_is_mended_with_one_click(compose):
    to = box(compose, "To")
    to.fill("ben@gmial.com")
    to.press("Enter")
    compose.get_by_text("Did you mean ben@gmail.com?").wait_for()
    compose.get_by_role("button", name="Change it").click()
    expect(chips(compose, "To")).to_contain_text("ben@gmail.com")
    to.fill("not an address")
    to.press("Enter")
    expect(compose.locator(".mend--bad")).to_contain_text("not one e-mail address")


def test_suggestions_by_keyboard_and_a_typed_address_wins(compose, acme):
    Person.objects.create(
        organization=acme, user_id="a", first_name="Anna", last_name="Torvald", email="anna@torvald.example"
    )
    to = box(compose, "To")
    to.press_sequentially("anna")
    expect(compose.get_by_role("option")).to_have_count(1)
    expect(to).to_have_attribute("aria-expanded", "true")
    to.press("Enter")
    expect(chips(compose, "To")).to_contain_text("Anna Torvald")
    Person.objects.create(
        organization=acme, user_id="b", first_name="Jo", last_name="Anna", email="joanna@torvald.example"
    )
    with compose.expect_response(lambda r: "recipients/search" in r.url and "%40" in r.url):
        to.press_sequentially("anna@t.example")
    to.press("Enter")
    expect(chips(compose, "To")).to_have_count(2)
    expect(chips(compose, "To").nth(1)).to_contain_text("anna@t.example")


def test_what_is_typed_survives_a_reload(compose, draft):
    with compose.expect_response(lambda r: "/draft" in r.url and "Late words" in (r.request.post_data or "")):
        compose.get_by_role("textbox", name="Subject").fill("Late words")
    message = compose.get_by_role("textbox", name="Message")
    message.click()
    with compose.expect_response(lambda r: "/draft" in r.url and "bold" in (r.request.post_data or "")):
        compose.get_by_role("button", name="Bold").click()
        message.press_sequentially("bold")
    compose.reload()
    expect(compose.get_by_role("textbox", name="Subject")).to_have_value("Late words")
    expect(compose.get_by_role("textbox", name="Message").locator("strong")).to_have_text("bold")


def lose_one_answer(page, path):
    """Let the next request to `path` reach the server, and its answer get lost; returns the list of what was lost."""
    lost = []

    def handle(route):
        if lost:
            return route.continue_()
        lost.append(route.request.post_data)
        route.fetch()
        return route.abort()

    page.route(f"**{path}", handle)
    return lost


def test_what_is_typed_after_a_lost_answer_is_saved(compose, draft):
    lost = lose_one_answer(compose, "/draft")
    subject = compose.get_by_role("textbox", name="Subject")
    subject.fill("First words")
    expect(compose.locator("[data-status]")).to_contain_text("no connection")
    assert len(lost) == 1
    subject.fill("First words and more")
    expect(compose.locator("[data-status]")).to_contain_text("Draft saved")
    draft.refresh_from_db()
    assert draft.subject == "First words and more"


def test_a_text_that_is_too_long_stays_and_is_saved_when_it_is_shorter(compose, draft):
    message = compose.get_by_role("textbox", name="Message")
    message.click()
    paste_text = """(field, text) => { const data = new DataTransfer(); data.setData('text/plain', text);
        field.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})) }"""
    message.evaluate(paste_text, "long " * 50_000)
    expect(compose.locator("[data-status]")).to_contain_text("It stays here; shorten it to 50,000 characters")
    assert len(message.inner_text()) > 200_000
    message.press("Control+a")
    message.press_sequentially("short")
    expect(compose.locator("[data-status]")).to_contain_text("Draft saved")
    draft.refresh_from_db()
    assert draft.text_html == "<p>short</p>"


def test_a_lost_answer_about_a_list_takes_nothing_that_was_typed_meanwhile(compose):
    to, held = box(compose, "To"), []
    compose.route("**/recipients/parse", lambda route: held.append(route))
    for address in ("anna@torvald.example", "ben@x.example"):
        to.fill(address)
        with compose.expect_request("**/recipients/parse"):
            to.press("Enter")
    to.press_sequentially("kofi@asante.example")
    for route in held:
        route.abort()
    expect(to).to_have_value("ben@x.example, anna@torvald.example, kofi@asante.example")
    expect(compose.locator("#to-hint")).to_contain_text("no connection")
    compose.unroute("**/recipients/parse")
    to.press("Enter")
    expect(chips(compose, "To")).to_have_count(3)


def test_send_waits_for_every_list_that_is_being_read(compose, draft):
    to, held = box(compose, "To"), []
    compose.get_by_role("textbox", name="Subject").fill("Hello")
    compose.route("**/recipients/parse", lambda route: held.append(route) if not held else route.continue_())
    for address in ("anna@torvald.example", "ben@x.example"):
        to.fill(address)
        with compose.expect_request("**/recipients/parse"):
            to.press("Enter")
    expect(chips(compose, "To")).to_have_count(1)
    compose.get_by_role("button", name="Send", exact=True).click()
    held[0].continue_()
    compose.wait_for_url(f"**/messages/{draft.code}/")
    assert set(draft.deliveries.values_list("address", flat=True)) == {"anna@torvald.example", "ben@x.example"}


def test_send_takes_what_changes_while_it_saves_and_goes_out_once(compose, draft):
    """A letter typed, or a video that gets ready, while Send saves: both are sent, and Send is not forgotten."""
    to, held = box(compose, "To"), []
    to.fill("anna@torvald.example")
    to.press("Enter")
    expect(compose.locator("[data-status]")).to_contain_text("Draft saved")
    compose.route("**/draft", lambda route: held.append(route) if not held else route.continue_())
    subject = compose.get_by_role("textbox", name="Subject")
    subject.fill("Hello")
    send = compose.get_by_role("button", name="Send", exact=True)
    with compose.expect_request("**/draft"):
        send.click()
    send.click()
    subject.fill("Hello again")
    held[0].continue_()
    compose.wait_for_url(f"**/messages/{draft.code}/")
    draft.refresh_from_db()
    assert (draft.status, draft.subject, draft.deliveries.count()) == ("sending", "Hello again", 1)


def test_a_tab_that_is_behind_is_told_and_sends_nothing(compose, draft, alice):
    save(draft, subject="Other tab")
    compose.get_by_role("textbox", name="Subject").fill("This tab")
    expect(compose.locator("[data-status]")).to_contain_text("changed in another tab")
    compose.get_by_role("button", name="Send", exact=True).click()
    expect(compose.locator("[data-status]")).to_contain_text("changed in another tab")
    assert Message.objects.get().status == "draft"
    assert Message.objects.get().subject == "Other tab"


def test_the_preview_shows_the_mail_and_the_page_as_one_of_them(compose):
    box(compose, "To").fill("Anna Torvald <anna@torvald.example>")
    box(compose, "To").press("Enter")
    frame = compose.frame_locator("[data-frame]")
    expect(frame.get_by_text("Hi Anna,")).to_be_visible()
    compose.get_by_text("Landing page", exact=True).click()
    expect(frame.get_by_role("heading", name="Hi Anna")).to_be_visible()


def test_a_take_that_gets_ready_is_shown_with_its_tools(page, live_server, draft, video):
    Video.objects.update(state="receiving")
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/messages/{draft.code}/edit")
    subject = page.get_by_role("textbox", name="Subject")
    subject.fill("Typed meanwhile")
    Video.objects.update(state="processing")
    expect(page.locator("[data-take]")).to_have_attribute("data-state", "processing")
    Video.objects.update(state="ready")
    expect(page.locator("[data-take] video")).to_be_visible()
    expect(page.get_by_role("link", name="Retake")).to_be_visible()
    expect(page.get_by_text("0:42")).to_be_visible()
    expect(page.locator("[data-pre-words]")).to_contain_text("Nobody is named yet")
    expect(subject).to_have_value("Typed meanwhile")


def test_a_take_that_fails_says_why_and_offers_another(page, live_server, draft):
    Video.objects.update(state="processing")
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/messages/{draft.code}/edit")
    expect(page.get_by_text("Write on meanwhile.")).to_be_visible()
    Video.objects.update(state="failed", error="There is no picture in it.")
    expect(page.get_by_text("There is no picture in it.").first).to_be_visible()
    expect(page.get_by_role("link", name="Record again")).to_be_visible()


def test_after_a_refused_send_another_video_can_be_chosen(page, live_server, draft, video, alice, acme):
    draft.video = None
    draft.save()
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/messages/{draft.code}/edit")
    page.get_by_role("textbox", name="Subject").fill("Hello")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("There is no video in this message yet")
    page.get_by_text("Choose another video").click()
    page.get_by_role("button", name=re.compile("Two answers")).click()
    expect(page.locator("[data-take] video")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Nobody is named yet")
    expect(page.get_by_role("alert")).not_to_contain_text("There is no video")
    expect(page.get_by_text("changed in another tab")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("textbox", name="Subject")).to_have_value("Hello")
    expect(page.get_by_text("changed in another tab")).to_have_count(0)


def test_the_desktop_preview_is_as_wide_as_a_desktop_and_fits(compose):
    frame, sheet = compose.locator("[data-frame]"), compose.locator(".sheet")
    inside = compose.frame_locator("[data-frame]").locator("html")
    expect(inside.get_by_role("link", name=re.compile("Watch the video"))).to_be_visible()
    assert inside.evaluate("() => innerWidth") == 720  # its 600 px column has air
    compose.get_by_text("Landing page", exact=True).click()
    expect(inside.get_by_role("heading").first).to_be_visible()
    assert inside.evaluate("() => innerWidth") == 1100
    for width in (1280, 1000, 900):
        compose.set_viewport_size({"width": width, "height": 800})
        expect(frame).to_have_js_property("offsetWidth", 1100)
        compose.wait_for_function(
            "() => Math.abs(document.querySelector('[data-frame]').getBoundingClientRect().width"
            " - document.querySelector('.sheet').clientWidth) < 2"
        )
        drawn, box = frame.bounding_box(), sheet.bounding_box()
        assert abs(drawn["height"] - box["height"]) < 4
    compose.locator("#v-phone").check(force=True)
    assert inside.evaluate("() => innerWidth") < 400


def test_on_a_phone_the_preview_is_a_phone_first(compose):
    compose.set_viewport_size({"width": 390, "height": 800})
    compose.reload()
    compose.get_by_text("Preview", exact=True).click()
    expect(compose.locator("#v-phone")).to_be_checked()
    compose.get_by_title("Desktop").click()
    expect(compose.locator("[data-frame]")).to_have_js_property("offsetWidth", 720)
    assert compose.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.fixture
def mail_to_self(compose):
    """A test mail, sent from the compose page to alice herself."""
    compose.get_by_role("button", name="Send me a test").click()
    expect(compose.get_by_text("A test is on its way to alice@acme.test.")).to_be_visible()
    return Delivery.objects.get(message__is_test=True)


def test_a_refused_test_mail_is_told_with_the_words_of_the_server(compose, mail_to_self):
    waits = {"state": "deferred", "reply_code": 450, "reply_text": "4.2.0 greylisted"}
    Delivery.objects.filter(pk=mail_to_self.pk).update(**waits)
    expect(compose.get_by_role("alert")).to_contain_text(
        "does not take the test to alice@acme.test yet: “450 4.2.0 greylisted”"
    )
    expect(compose.get_by_text("A test is on its way")).to_have_count(0)
    Delivery.objects.filter(pk=mail_to_self.pk).update(
        state="bounced", reply_code=550, reply_text="5.7.1 <b>not you</b>"
    )
    expect(compose.get_by_role("alert")).to_contain_text("was not sent: “550 5.7.1 <b>not you</b>”")


def test_a_test_mail_that_is_out_is_told_too(compose, mail_to_self):
    Delivery.objects.filter(pk=mail_to_self.pk).update(state="accepted")
    expect(compose.get_by_text("The test to alice@acme.test was accepted by the mail server.")).to_be_visible()
    expect(compose.get_by_role("alert")).to_have_count(0)


@pytest.fixture
def by_hand(draft):
    """A message whose links alice wants to mail herself."""
    save(draft)
    return composing.make_links(draft)


def test_copy_for_outlook_puts_picture_and_link_on_the_clipboard(page, live_server, by_hand, browser_context):
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/messages/{by_hand.code}/")
    page.get_by_role("button", name=re.compile("Copy for Outlook")).click()
    expect(page.get_by_text("Copied. Paste it into your mail.")).to_be_visible()
    html = page.evaluate(
        "async () => { const [item] = await navigator.clipboard.read(); return (await item.getType('text/html')).text() }"
    )
    assert re.search(r'<a href="http://pitch\.test/v/\w', html)
    assert "thumbnail.jpg" in html
    assert "Play: video from Alice, 42 seconds" in html
    page.get_by_role("button", name=re.compile("Copy the link")).click()
    for _try in range(50):  # wait_for_function takes an async predicate as true at once
        if page.evaluate("navigator.clipboard.readText()").startswith("http://pitch.test/v/"):
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("the bare link never came to the clipboard")


@pytest.fixture
def just_sent(page, live_server, draft):
    """The page of a message that alice sent a moment ago."""
    save(draft, subject="Hello")
    message = composing.send(draft)
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/messages/{message.code}/")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    return page


def test_undo_in_another_tab_is_said(just_sent):
    other = just_sent.context.new_page()
    other.goto(just_sent.url)
    other.get_by_role("button", name="Undo").click()
    expect(just_sent.get_by_role("alert")).to_contain_text("it is a draft again")
    expect(just_sent.get_by_text("Nothing was sent.")).to_be_visible()
    expect(just_sent.get_by_role("button", name="Undo")).to_have_count(0)
    just_sent.get_by_role("link", name="Go on writing").click()
    just_sent.wait_for_url("**/edit")


def test_a_page_that_is_signed_out_says_so_and_asks_no_more(just_sent):
    just_sent.clock.install()
    just_sent.reload()
    with just_sent.expect_response(lambda r: "/rows" in r.url and r.status == 401):
        just_sent.context.clear_cookies()
    expect(just_sent.get_by_role("alert")).to_contain_text("You are signed out")
    asked = []
    just_sent.on("request", lambda request: asked.append(request.url))
    just_sent.clock.run_for(12_000)  # longer than its questions are ever apart
    assert not [url for url in asked if "/rows" in url]
    just_sent.get_by_role("link", name="Sign in").click()
    just_sent.wait_for_url(re.compile(r"/accounts/login/\?next="))


def test_a_lost_connection_is_said_until_it_is_back(just_sent):
    just_sent.context.set_offline(True)
    expect(just_sent.get_by_role("alert")).to_contain_text("No connection")
    just_sent.context.set_offline(False)
    expect(just_sent.get_by_text("No connection")).to_be_hidden()


def test_a_refused_address_and_a_first_play_appear_by_themselves(page, live_server, draft):
    drafts.save(
        draft,
        DraftFields(
            version=0, to=[ParsedAddress("Anna", "anna@torvald.example")], subject="Hello", video=draft.video.code
        ),
    )
    message = composing.send(draft)
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.goto(f"{live_server.url}/messages/{message.code}/")
    expect(page.get_by_text("Queued")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    delivery = message.deliveries.get()
    delivery.state, delivery.reply_code, delivery.reply_text = "bounced", 550, "5.1.1 no such user"
    delivery.save()
    results.complete([message.pk])
    expect(page.get_by_text("550 5.1.1 no such user")).to_be_visible()
    expect(page.get_by_text("Bounced")).to_be_visible()
    delivery.played_at = timezone.now()
    delivery.save()
    expect(page.get_by_text("Anna watched")).to_be_visible(timeout=4_000)


HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_page_nobody_looks_at_asks_nothing_and_knows_at_once_when_it_is_seen(page, live_server, by_hand):
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    page.clock.install()
    page.goto(f"{live_server.url}/messages/{by_hand.code}/")
    asked = []
    page.on("request", lambda request: "/rows" in request.url and asked.append(request.url))
    page.evaluate(HIDE, True)
    page.clock.run_for(12_000)
    assert not asked
    page.clock.pause_at(timezone.now() + timedelta(hours=1))
    with page.expect_request(lambda request: "/rows" in request.url):
        page.evaluate(HIDE, False)
