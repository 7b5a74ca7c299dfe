"""The page "Sending" in a real browser: it fits a phone and a desk, and keeps the content policy."""

import pytest
from django.conf import settings
from django.utils import timezone

from messaging.models import EmailProvider
from tests.messaging.test_operations import PAGE, world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["world"]


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits(page, browser_context, live_server, client, root, world, width):
    EmailProvider.objects.filter(pk=world.pk).update(
        stopped_at=timezone.now(), stopped_reason="535 5.7.8 " + "refused-our-password-" * 20, retry_at=timezone.now()
    )
    client.force_login(root, backend=settings.AUTHENTICATION_BACKENDS[0])
    name = settings.SESSION_COOKIE_NAME
    browser_context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
    page.set_viewport_size({"width": width, "height": 800})
    assert page.goto(f"{live_server.url}{PAGE}").status == 200
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("link", name="Decide: arrived, or send again").click()
    page.wait_for_url("**state__exact=in_doubt")
    page.locator("select[name=action]").select_option(label="In doubt: it has arrived")
