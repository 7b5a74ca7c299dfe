"""The whole loop against running processes: sign in, record, send, read the mails, watch, see it counted."""

import re
import time
from email.utils import parseaddr

import pytest
from playwright.sync_api import expect

from tests.browser import sign_in
from tests.e2e.running import wait_until

LINK = re.compile(r"https?://[^\s\"'<>]+/v/[A-Za-z0-9_\-]+")


def chips(page, name, *texts):
    """Type addresses into the combobox `name`, each ended by Enter."""
    box = page.get_by_role("combobox", name=name, exact=True)
    for text in texts:
        box.fill(text)
        box.press("Enter")


def text_part(mail):
    """Return the plain text of a mail."""
    return mail.get_body(("plain",)).get_content()


@pytest.mark.browser
@pytest.mark.req("R389", "R390", "R391", "R380")
def test_record_send_watch(pitch, browser_context):
    page = browser_context.new_page()
    sign_in(page, pitch.url, "demo@acme.test", pitch.password)

    # Record, with the network cut at second 2 and restored.
    page.get_by_role("link", name="Record", exact=True).or_(
        page.get_by_role("button", name="Record", exact=True)
    ).click()
    page.get_by_role("button", name="Start recording").click()
    page.get_by_role("button", name="Stop").wait_for(timeout=10_000)
    started = time.monotonic()
    page.wait_for_timeout(2000)
    browser_context.set_offline(True)
    page.wait_for_timeout(2000)
    browser_context.set_offline(False)
    page.wait_for_timeout(2000)
    page.get_by_role("button", name="Stop").click()
    recorded = time.monotonic() - started
    page.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"), timeout=30_000)

    # Write; reload, and the draft is there.
    chips(page, "To", "Anna Torvald <anna@torvald.example>", "kofi@asante.example")
    chips(page, "Bcc", "mara@lindqvist.example")
    page.get_by_role("textbox", name="Subject").fill("Two answers in six seconds")
    message = page.get_by_role("textbox", name="Message")
    message.click()
    with page.expect_response(lambda r: "/draft" in r.url and "for the tour." in (r.request.post_data or "")):
        message.press_sequentially("Thank you for the tour.")
    page.get_by_text(re.compile(r"Draft saved")).wait_for()
    page.reload()
    assert page.get_by_role("textbox", name="Subject").input_value() == "Two answers in six seconds"
    for name in ("Anna Torvald", "kofi@asante.example", "mara@lindqvist.example"):
        page.get_by_text(name).first.wait_for()
    expect(page.get_by_role("textbox", name="Message")).to_contain_text("Thank you for the tour.")

    # Send, undo, send again.
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"))
    assert pitch.mails() == []
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url(re.compile(r"/messages/[a-z0-9]+/$"))
    report = page.url

    # Three raw mails, one address each, nobody's name in another's.
    mails = wait_until(lambda: (found := pitch.mails()) and len(found) >= 3 and found, 60)
    assert len(mails) == 3
    by_address = {parseaddr(mail["X-Envelope-To"])[1]: mail for mail in mails}
    assert set(by_address) == {"anna@torvald.example", "kofi@asante.example", "mara@lindqvist.example"}
    assert by_address["anna@torvald.example"]["To"] == "Anna Torvald <anna@torvald.example>"
    assert "undisclosed-recipients" in by_address["mara@lindqvist.example"]["To"]
    links = {}
    for address, mail in by_address.items():
        raw = mail.as_string()
        assert mail["Bcc"] is None
        assert mail["Subject"] == "Two answers in six seconds"
        assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
        assert "Thank you for the tour." in text_part(mail)
        assert not [other for other in by_address if other != address and other in raw]
        links[address] = LINK.search(text_part(mail))[0]
    assert len(set(links.values())) == 3

    # The visitor's own page, in a browser that knows nothing of us.
    visitor = browser_context.browser.new_context(viewport={"width": 390, "height": 844})
    landing = visitor.new_page()
    requested: list[str] = []
    landing.on("request", lambda request: requested.append(request.url))
    landing.goto(links["anna@torvald.example"])
    landing.get_by_text("Anna").first.wait_for()
    video = landing.locator("video")
    duration = video.evaluate(
        "v => new Promise(done => v.readyState ? done(v.duration) : v.addEventListener('loadedmetadata', () => done(v.duration)))"
    )
    assert abs(duration - recorded) < 2.5, (duration, recorded)
    sought = video.evaluate(
        "v => new Promise(done => { v.addEventListener('seeked', () => done(v.currentTime), {once: true}); v.currentTime = 1 })"
    )
    assert abs(sought - 1) < 0.1
    landing.wait_for_timeout(500)
    # The first press: our own play mark over the poster, or the native control by keyboard.
    play = landing.get_by_role("button", name=re.compile("Play"))
    if play.count() and play.first.is_visible():
        play.first.click()
    else:
        video.focus()
        landing.keyboard.press("Space")
    wait_until(lambda: video.evaluate("v => v.currentTime") > 2.5, 15)

    # Seen by the sender, live.
    page.goto(report)
    page.get_by_text(re.compile(r"Anna.*watched|1 of 3", re.I)).first.wait_for(timeout=15_000)
    assert all(url.startswith((pitch.url, "blob:", "data:")) for url in requested)
    visitor.close()
