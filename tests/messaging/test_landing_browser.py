"""The landing page in a real Chromium, with a real video: who counts, what works without script, what fits."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import imageio_ffmpeg
import pytest
from playwright.sync_api import expect

from messaging.models import Delivery, DeliveryEvent, Visit
from messaging.models.visits import Verdict
from tests.browser import sign_in
from tests.conftest import PASSWORD
from tests.messaging.landing_world import landing_path, make_delivery, make_message, make_video, unsubscribe_path

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """Make twelve seconds of moving picture and sound, as our converter would (H.264, AAC, faststart), and a still."""
    folder = tmp_path_factory.mktemp("clip")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    source = ["-f", "lavfi", "-i", "testsrc=d=12:s=640x360:r=25", "-f", "lavfi", "-i", "sine=f=440:d=12"]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac", "-b:a", "64k"]
    subprocess.run([*ffmpeg, *source, *codec, "-movflags", "+faststart", folder / "video.mp4"], check=True)
    subprocess.run([*ffmpeg, "-i", folder / "video.mp4", "-frames:v", "1", folder / "poster.jpg"], check=True)
    return folder


@pytest.fixture
def delivery(alice, clip, settings):
    folder = Path(settings.MEDIA_ROOT) / "clip"
    shutil.copytree(clip, folder)
    video = make_video(
        alice,
        duration_ms=12_000,
        width=640,
        height=360,
        video_path="clip/video.mp4",
        poster_path="clip/poster.jpg",
        thumbnail_path="clip/poster.jpg",
    )
    return make_delivery(make_message(alice, video))


def beacons(page):
    """Wait for the next report of the page."""
    return page.expect_response(lambda response: response.url.endswith("/beacon"))


def wait_until(page, expression, seconds=15):
    """Wait until a JavaScript expression is true (Playwright's own wait needs eval, which our content policy forbids)."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(50)


def press_play(page):
    """Click the native player where its play button is."""
    box = page.locator("video").bounding_box()
    page.mouse.click(box["x"] + 32, box["y"] + box["height"] - 48)
    wait_until(page, "!document.querySelector('video').paused")


def wait_until_loaded(page):
    wait_until(page, "document.querySelector('video').readyState >= 1")


def test_a_person_presses_play_and_is_counted(page, live_server, delivery):
    with beacons(page):
        page.goto(live_server.url + landing_path(delivery))
    wait_until_loaded(page)
    assert page.evaluate("document.querySelector('video').paused"), "nothing plays by itself"
    assert Visit.objects.get().verdict == Verdict.LIKELY_AUTOMATED
    press_play(page)
    wait_until(page, "document.querySelector('video').currentTime > 2.5")
    with page.expect_response(lambda response: "beacon" in response.url and "[[0," in response.request.post_data):
        pass
    delivery.refresh_from_db()
    assert delivery.played_at is not None
    visit = Visit.objects.get()
    assert visit.verdict == Verdict.HUMAN
    assert 3 <= visit.watched_seconds <= 5
    assert visit.device == "computer"


def test_the_keyboard_is_a_person_too(page, live_server, delivery):
    page.goto(live_server.url + landing_path(delivery))
    wait_until_loaded(page)
    page.locator("video").focus()
    page.keyboard.press("Space")
    with page.expect_response(lambda response: "beacon" in response.url and "[[0,3]" in response.request.post_data):
        pass
    assert Delivery.objects.get().played_at is not None


@pytest.mark.parametrize("status", [429, 503])
def test_a_report_that_was_turned_away_is_said_again(page, live_server, delivery, status):
    answers = iter([status])
    page.clock.install()

    def turn_the_first_away(route):
        code = next(answers, None)
        route.fulfill(status=code) if code else route.continue_()

    page.route("**/beacon", turn_the_first_away)
    with beacons(page) as first:
        page.goto(live_server.url + landing_path(delivery))
    assert first.value.status == status
    with beacons(page) as second:
        page.clock.run_for(5_000)
    assert second.value.status == 204
    assert Visit.objects.count() == 1


@pytest.mark.abuse("A26")
def test_a_player_started_by_script_is_not_counted(page, live_server, delivery):
    with beacons(page):
        page.goto(live_server.url + landing_path(delivery))
    wait_until_loaded(page)
    page.evaluate("const v = document.querySelector('video'); v.muted = true; v.play(); document.body.click(); 0")
    with page.expect_response(lambda r: "beacon" in r.url and '"started":true' in r.request.post_data):
        pass
    visit = Visit.objects.get()
    assert (visit.verdict, visit.reason) == (Verdict.LIKELY_AUTOMATED, "play_without_gesture")
    assert visit.watched_seconds >= 3
    delivery.refresh_from_db()
    assert delivery.played_at is None
    assert not DeliveryEvent.objects.filter(verdict="human").exists()


def test_seeking_works_by_byte_ranges_and_adds_nothing(page, live_server, delivery):
    statuses = []
    page.on("response", lambda response: statuses.append(response.status) if "/media/" in response.url else None)
    page.goto(live_server.url + landing_path(delivery))
    wait_until_loaded(page)
    with beacons(page):
        page.locator("h1").click()
    page.evaluate("document.querySelector('video').currentTime = 10")
    wait_until(page, "(v => v.readyState >= 2 && !v.seeking)(document.querySelector('video'))")
    press_play(page)
    with page.expect_response(lambda r: "beacon" in r.url and "[[10," in r.request.post_data):
        wait_until(page, "document.querySelector('video').ended")
    assert 206 in statuses
    assert Visit.objects.get().watched_seconds <= 2


@pytest.mark.abuse("A10")
def test_nobody_else_is_asked_for_anything(page, live_server, delivery):
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    referers = []
    page.on("request", lambda request: referers.append(request.headers.get("referer")))
    page.goto(live_server.url + landing_path(delivery), wait_until="networkidle")
    assert hosts == {urlsplit(live_server.url).netloc}
    assert not any(referers)
    assert page.context.cookies() == []


def test_without_javascript_the_browsers_own_player_does_it_all(chromium, live_server, delivery):
    context = chromium.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(live_server.url + landing_path(delivery))
        assert page.locator("video[controls]").is_visible()
        expect(page.get_by_role("heading", name="Hi Anna")).to_be_visible()
        expect(page.get_by_role("link", name="Reply to Alice")).to_be_visible()
        page.get_by_role("link", name="No more mails like this").click()
        page.get_by_role("button", name=re.compile("No more video mails")).click()
        page.get_by_role("button", name="That was a mistake").click()
        expect(page.get_by_text("Taken back")).to_be_visible()
    finally:
        context.close()
    assert not Visit.objects.exists()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_scrolls_sideways(page, live_server, delivery, alice, width):
    alice.name = "Dr. Maximiliane Freifrau von Hohenstein-Wackerbarth-Kraftwerksbetriebsgesellschaft"
    alice.save()
    Delivery.objects.update(name="Donaudampfschifffahrtsgesellschaftskapitänin Anna")
    page.set_viewport_size({"width": width, "height": 800})
    for path in (landing_path(delivery), unsubscribe_path(delivery), "/v/wrong"):
        page.goto(live_server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_senders_own_look_counts_nowhere(page, live_server, delivery, alice):
    sign_in(page, live_server.url, alice.email, PASSWORD)
    with beacons(page):
        page.goto(live_server.url + landing_path(delivery))
    with beacons(page):
        page.locator("h1").click()
    assert Visit.objects.get().is_sender
    assert Delivery.objects.get().visited_at is None
