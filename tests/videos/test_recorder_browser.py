"""The recorder and the studio's upload in a real browser with a fake camera."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import sign_in
from tests.conftest import PASSWORD
from tests.videos.recorder import DIGEST, FORGET_BEAT, SPOOLED, button, digest_of, start, stop, wait_for_bytes
from tests.videos.tus import files_left
from videos import storage, tasks
from videos.models import Upload, Video

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def shown_time(page):
    minutes, seconds = page.locator("[data-time]").inner_text().split(":")
    return 60 * int(minutes) + int(seconds)


@pytest.mark.req("R390")
def test_record_pause_go_on_and_stop(recorder):
    expect(recorder.locator("[data-level]")).to_contain_text("hear you")
    start(recorder)
    wait_for_bytes(recorder)
    recorder.wait_for_function("() => document.querySelector('[data-time]').textContent >= '0:02'")
    button(recorder, "Pause").click()
    expect(button(recorder, "Go on")).to_be_visible()
    paused = shown_time(recorder)
    recorder.wait_for_timeout(700)  # time passes for the camera; the take stands still
    assert shown_time(recorder) == paused
    button(recorder, "Go on").click()
    expect(button(recorder, "Pause")).to_be_visible()
    size = stop(recorder)
    upload = Upload.objects.select_related("video").get()
    assert upload.offset == upload.length == size > 0
    assert storage.absolute(upload.path).stat().st_size == size
    assert upload.video.state == "processing"
    tasks.convert(upload.video_id)
    upload.video.refresh_from_db()
    assert upload.video.state == "ready"
    assert 1500 <= upload.video.duration_ms <= 4500
    assert recorder.evaluate(SPOOLED) == {"takes": [], "bytes": 0}


def test_cancel_of_the_countdown_records_nothing(recorder):
    button(recorder, "Start recording").click()
    button(recorder, "Cancel").click()
    expect(button(recorder, "Start recording")).to_be_visible()
    assert not Upload.objects.exists()


def test_start_over_leaves_nothing_behind(recorder):
    start(recorder)
    wait_for_bytes(recorder)
    with recorder.expect_response(lambda r: r.request.method == "DELETE"):
        button(recorder, "Start over").click()
    expect(button(recorder, "Start recording")).to_be_visible()
    assert files_left() == []
    assert Video.objects.get().deleted_at is not None
    assert recorder.evaluate(SPOOLED) == {"takes": [], "bytes": 0}


def test_the_network_goes_and_comes_back(recorder, browser_context):
    start(recorder)
    wait_for_bytes(recorder)
    browser_context.set_offline(True)
    before = recorder.evaluate("window.recorded")
    expect(recorder.locator("[data-saved]")).to_have_text("Saved here, will upload")
    recorder.wait_for_function("before => window.recorded > before", arg=before)
    button(recorder, "Stop").click()
    expect(recorder.locator("[data-finishing]")).to_contain_text("safe on this computer")
    digest = recorder.evaluate(DIGEST)
    assert Upload.objects.get().finished_at is None
    browser_context.set_offline(False)
    recorder.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"))
    assert digest_of(storage.absolute(Upload.objects.get().path)) == digest


def test_a_server_that_takes_nothing_is_said_at_once_and_the_take_is_kept(recorder, alice, monkeypatch):
    monkeypatch.setattr("videos.services.uploads.MAX_OPEN_PER_USER", 0)
    start(recorder)
    expect(recorder.locator("[data-saved]")).to_contain_text("Saved here only. You have 0 unfinished uploads.")
    recorder.wait_for_function("() => window.recorded > 0")
    button(recorder, "Stop").click()
    expect(recorder.get_by_role("heading", name="The server did not take the recording")).to_be_focused()
    expect(recorder.locator("[data-problem-text]")).to_contain_text("You have 0 unfinished uploads")
    with recorder.expect_download() as download:
        button(recorder, "Download the recording").click()
    assert download.value.suggested_filename == "recording.webm"
    monkeypatch.undo()
    monkeypatch.setattr("pitch.lib.queue.async_task", lambda *args, **options: None)
    button(recorder, "Try again").click()
    recorder.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"))
    upload = Upload.objects.get()
    assert upload.offset == upload.length > 0


def test_the_longest_recording_stops_by_itself(recorder, live_server, acme):
    acme.video_max_seconds = 2
    acme.save()
    recorder.reload()
    start(recorder)
    expect(recorder.locator("[data-time]")).to_contain_text("left")
    expect(recorder.get_by_role("heading", name="The longest recording allowed here is reached")).to_be_focused()
    expect(recorder.locator("[data-problem-text]")).to_contain_text("Nothing is lost; kept: 2 seconds.")
    expect(recorder.locator("[data-saved]")).to_have_text("Saved here and on the server")
    with recorder.expect_download() as download:
        button(recorder, "Download the recording").click()
    assert Path(download.value.path()).stat().st_size == recorder.evaluate("window.recorded")
    button(recorder, "Continue with this take").click()
    recorder.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"))
    assert Upload.objects.get().finished_at is not None


def test_a_take_whose_tab_was_closed_is_offered_and_continued(recorder, browser_context, live_server):
    start(recorder)
    wait_for_bytes(recorder)
    recorder.close()
    again = browser_context.new_page()
    again.goto(f"{live_server.url}/")
    expect(again.locator("[data-stage]")).to_be_visible()
    expect(again.locator("[data-unsent]")).to_be_hidden()  # it may still live in another tab
    again.evaluate(FORGET_BEAT)
    again.reload()
    banner = again.locator("[data-unsent]")
    expect(banner).to_contain_text("A recording is waiting: 0:0")
    kept = again.evaluate(SPOOLED)["bytes"]
    button(again, "Continue with it").click()
    again.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"))
    upload = Upload.objects.get()
    assert upload.offset == upload.length == kept
    tasks.convert(upload.video_id)
    assert Video.objects.get().state == "ready"


def test_a_left_take_is_offered_to_nobody_else_on_the_same_computer(recorder, browser_context, live_server, bob):
    start(recorder)
    wait_for_bytes(recorder)
    # The meter and its words stay in sight while recording: a silent microphone must not go unnoticed.
    expect(recorder.locator("[data-meter]")).to_be_visible()
    recorder.close()
    browser_context.clear_cookies()
    again = browser_context.new_page()
    sign_in(again, live_server.url, "bob@acme.test", PASSWORD)
    again.evaluate(FORGET_BEAT)
    again.reload()
    expect(again.locator("[data-stage]")).to_be_visible()
    again.evaluate("async () => { while (!(await indexedDB.databases()).length); }")
    expect(again.locator("[data-unsent]")).to_be_hidden()
    browser_context.clear_cookies()
    sign_in(again, live_server.url, "alice@acme.test", PASSWORD)
    again.goto(f"{live_server.url}/")
    expect(again.locator("[data-unsent]")).to_be_visible()


def test_a_left_take_can_be_deleted(recorder, browser_context, live_server):
    start(recorder)
    wait_for_bytes(recorder)
    recorder.close()
    again = browser_context.new_page()
    again.goto(f"{live_server.url}/")
    again.evaluate(FORGET_BEAT)
    again.reload()
    with again.expect_response(lambda r: r.request.method == "DELETE"):
        again.locator("[data-unsent-delete]").click()
    expect(again.locator("[data-unsent]")).to_be_hidden()
    assert files_left() == []
    assert again.evaluate(SPOOLED)["bytes"] == 0


# ---- Camera errors -------------------------------------------------------------------------------------------------------------
THROW = """navigator.mediaDevices.getUserMedia = async () => {{
  if (!window.mended) throw new DOMException("no", "{name}");
  return window.nativeCamera();
}};"""
KEEP = """const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.nativeCamera = () => native({ video: true, audio: true });"""


@pytest.mark.parametrize(
    ("name", "title", "hint"),
    [
        ("NotAllowedError", "The browser may not use your camera", "Allow camera and microphone."),
        ("NotFoundError", "No camera was found", "Plug a camera in"),
        ("NotReadableError", "Another app is using your camera", "Leave the call in Teams"),
        ("OverconstrainedError", "The camera you used last is not there", "Try again to use another one."),
        ("SecurityError", "This page may not use a camera", "https address"),
        ("AbortError", "The camera could not be opened", "Restart the browser"),
    ],
)
def test_each_camera_error_has_its_words_and_a_way_out(studio, live_server, name, title, hint):
    studio.add_init_script(KEEP + THROW.format(name=name))
    studio.goto(f"{live_server.url}/record/")
    heading = studio.get_by_role("heading", name=title)
    expect(heading).to_be_focused()
    expect(studio.locator("[data-problem]")).to_contain_text(hint)
    expect(studio.get_by_role("link", name="Upload a video")).to_be_visible()
    expect(button(studio, "Start recording")).to_be_hidden()
    studio.evaluate("window.mended = true")
    button(studio, "Try again").click()
    expect(button(studio, "Start recording")).to_be_visible()


def test_a_browser_that_cannot_record_is_told_what_can(studio, live_server):
    studio.add_init_script("delete window.MediaRecorder")
    studio.goto(f"{live_server.url}/record/")
    expect(studio.get_by_role("heading", name="This browser cannot record")).to_be_focused()


# ---- Upload of a file ----------------------------------------------------------------------------------------------------------
def choose(page, *files):
    page.locator("[data-upload-input]").set_input_files(*files)


def test_a_file_goes_up_with_progress(studio, make_take):
    said = studio.locator("[data-upload-words]")
    held = []
    studio.route(re.compile(r"/uploads/\w+$"), lambda route: held.append(route))
    choose(studio, make_take("mp4"))
    expect(said).to_contain_text("mp4-2.mp4: 0.0 of 0.")
    while not held:
        studio.wait_for_timeout(20)
    held[0].continue_()
    studio.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"))
    video = Video.objects.get()
    assert (video.title, video.source, video.state) == ("mp4-2", "uploaded", "processing")
    assert storage.absolute(video.original_path).read_bytes() == make_take("mp4").read_bytes()


def test_an_upload_can_be_canceled(studio, make_take):
    held = []
    studio.route(
        re.compile(r"/uploads/\w+$"), lambda r: held.append(r) if r.request.method == "PATCH" else r.continue_()
    )
    choose(studio, make_take("mp4"))
    while not held:
        studio.wait_for_timeout(20)
    with studio.expect_response(lambda r: r.request.method == "DELETE"):
        studio.locator("[data-upload-cancel]").click()
    held[0].abort()
    expect(studio.locator("[data-upload-words]")).to_have_text("The upload was canceled.")
    assert files_left() == []


def test_too_large_and_no_video_are_refused_in_words(studio, settings, make_take, tmp_path):
    settings.VIDEO_MAX_BYTES = 1_000_000
    studio.reload()
    big = tmp_path / "Hamburg.mp4"
    big.write_bytes(b"x" * 1_200_000)
    choose(studio, big)
    said = studio.locator("[data-upload-words]")
    expect(said).to_contain_text("Hamburg.mp4 has 1.2 MB; at most 1.0 MB can be uploaded here.")
    text = tmp_path / "letter.txt"
    text.write_text("Dear Anna")
    choose(studio, text)
    expect(said).to_contain_text("letter.txt does not look like a video.")
    assert not Upload.objects.exists()
    # The server says no as well, and its words are shown.
    settings.VIDEO_MAX_BYTES = 50_000
    choose(studio, make_take("mp4", 4))
    expect(said).to_contain_text("The upload was refused: This video is larger than 0 MB, the limit here.")
