"""A real Chromium for tests: one process per worker, one fresh context per test, with a fake camera and microphone.

Use the fixtures `page` (1280 × 800) or `browser_context`; mark the test `@pytest.mark.browser`.
"""

import os
import shutil

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# `./run test` names one that it has seen start, or none.
CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def chromium() -> Browser:
    """Start Chromium once."""
    # Playwright's synchronous API runs an event loop in this thread; Django's guard would take that for async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def browser_context(chromium) -> BrowserContext:
    """Give a fresh profile that may use camera, microphone and clipboard."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["camera", "microphone", "clipboard-read", "clipboard-write"])
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(browser_context) -> Page:
    """Give one page; a script error or a blocked resource of ours fails the test."""
    page = browser_context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield page
    assert not errors, errors


def sign_in(page: Page, base: str, email: str, password: str) -> None:
    """Sign in through the form, as a person would."""
    page.goto(f"{base}/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)
