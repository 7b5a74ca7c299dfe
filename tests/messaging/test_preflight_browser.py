"""Advice near Send while recipients come and go, and a correction that survives new rows, in a real browser."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from messaging.models import Delivery, EmailProvider, ProviderLimit, Unsubscribe
from messaging.services import composing, drafts, results
from messaging.services.drafts import DraftFields
from messaging.services.recipients import ParsedAddress
from tests.browser import sign_in
from tests.conftest import PASSWORD
from tests.messaging.landing_world import make_video

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def provider(acme):
    return EmailProvider.objects.create(organization=acme, host="127.0.0.1", port=2525, security="starttls")


@pytest.fixture
def draft(alice, provider):
    return drafts.create(alice, make_video(alice))


@pytest.fixture
def signed(page, live_server, alice):
    sign_in(page, live_server.url, "alice@acme.test", PASSWORD)
    return page


def add(page, text):
    box = page.get_by_role("combobox", name="To", exact=True)
    box.fill(text)
    box.press("Enter")


def test_advice_follows_the_recipients_and_is_silent_without_need(signed, live_server, draft, acme, provider):
    Unsubscribe.objects.create(organization=acme, address_key="anna@torvald.example")
    ProviderLimit.objects.create(provider=provider, amount=1, seconds=60)
    page = signed
    with page.expect_response(lambda r: r.url.endswith("/preflight")) as first:
        page.goto(f"{live_server.url}/messages/{draft.code}/edit")
    assert first.value.status == 204
    advice = page.locator("[data-preflight-url]")
    expect(advice).to_be_hidden()
    add(page, "Anna Torvald <anna@torvald.example>")
    skipped = advice.get_by_text("Skipped: Anna Torvald asked for no more mails from your organization.")
    expect(skipped).to_be_visible()
    add(page, "kofi@asante.example")
    add(page, "priya@raman.example")
    expect(advice).to_contain_text("2 mails, about 2 minutes: your mail server takes 1 mail a minute.")
    with page.expect_response(lambda r: r.url.endswith("/draft")):
        page.get_by_role("textbox", name="Subject").fill("Two answers")
    page.get_by_role("button", name="Remove Anna Torvald").click()
    expect(skipped).to_have_count(0)
    expect(advice).to_contain_text("2 mails")
    page.get_by_role("button", name="Remove kofi@asante.example").click()
    expect(advice).to_be_hidden()


@pytest.fixture(params=["kept", "moved"])
def refused(request, signed, live_server, draft):
    """The page of a message of which one mail was refused and one waits; also in a browser without Element.moveBefore."""
    if request.param == "moved":
        signed.add_init_script("delete Element.prototype.moveBefore; delete DocumentFragment.prototype.moveBefore")
    people = [ParsedAddress("Anna", "anna@torvald.example"), ParsedAddress("Kofi", "kofi@asante.example")]
    drafts.save(draft, DraftFields(version=0, to=people, subject="Hello", video=draft.video.code))
    message = composing.send(draft)
    message.send_after = timezone.now()
    message.save()
    message.deliveries.filter(name="Anna").update(state="bounced", reply_code=550, reply_text="5.1.1 no such user")
    signed.goto(f"{live_server.url}/messages/{message.code}/")
    return message


def test_a_correction_being_typed_survives_new_rows(signed, refused):
    page = signed
    page.get_by_text("Correct the address").click()
    field = page.get_by_label("New address of Anna")
    expect(field).to_have_value("anna@torvald.example")
    field.fill("anna@")
    Delivery.objects.filter(name="Kofi").update(state="accepted", finished_at=timezone.now())
    results.complete([refused.pk])
    expect(page.get_by_text("Accepted by the mail server")).to_be_visible()
    expect(field).to_be_focused()
    field.press_sequentially("here.example")
    expect(field).to_have_value("anna@here.example")
    page.get_by_role("button", name="Send there").click()
    expect(page.get_by_text("Sent to anna@here.example. The old link is closed.")).to_be_visible()
    assert refused.deliveries.filter(address="anna@here.example").count() == 1
