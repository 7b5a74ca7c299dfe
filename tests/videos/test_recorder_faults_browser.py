"""What the recorder says and keeps when camera, browser, disk or server let it down.

The faults are made in the browser, before its objects reach our scripts, and on the wire.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.videos.recorder import DIGEST, SPOOLED, button, digest_of, start, stop, wait_for_bytes
from tests.videos.tus import files_left
from videos import storage, tasks
from videos.models import Upload, Video

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EDIT = re.compile(r"/messages/[a-z0-9]+/edit")
PATCH = re.compile(r"/uploads/\w+$")

# Keeps every stream the camera gave; lose() and turn() do to a track what an unplugged cable and a switch do.
CAMERA = """
  window.streams = [];
  const camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await camera(wanted);
    window.streams.push(stream);
    return stream;
  };
  const track = (kind) => window.streams.at(-1).getTracks().find((one) => one.kind === kind);
  window.lose = (kind) => {
    track(kind).stop();
    track(kind).dispatchEvent(new Event("ended"));
  };
  window.turn = (kind, isOff) => {
    Object.defineProperty(track(kind), "muted", { value: isOff, configurable: true });
    track(kind).dispatchEvent(new Event(isOff ? "mute" : "unmute"));
  };
"""


@pytest.fixture
def open_recorder(studio, live_server):
    """Return a function that opens the recorder after `scripts` have changed the browser."""

    def visit(*scripts):
        for script in scripts:
            studio.add_init_script(f"(() => {{ {script} }})();")
        studio.goto(f"{live_server.url}/record/")
        expect(button(studio, "Start recording")).to_be_visible()
        return studio

    return visit


@pytest.fixture
def watched(recorder):
    """The recorder with hooks into its camera and its MediaRecorder."""
    recorder.add_init_script(f"(() => {{ {CAMERA} }})();")
    recorder.reload()
    expect(button(recorder, "Start recording")).to_be_visible()
    return recorder


def said(page):
    return page.locator("[data-say]")


def saved(page):
    return page.locator("[data-saved]")


def heading(page, name):
    return page.get_by_role("heading", name=name)


# ---- Camera and microphone ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "title"), [("video", "The camera was lost"), ("audio", "The microphone was lost")])
def test_a_camera_that_ends_is_said_and_the_take_goes_on_to_compose(watched, kind, title):
    start(watched)
    wait_for_bytes(watched)
    watched.evaluate("kind => lose(kind)", kind)
    expect(heading(watched, title)).to_be_focused()
    expect(watched.locator("[data-problem-text]")).to_have_text(
        re.compile(r"It was unplugged, or another program took it. The recording until then is kept: \d seconds?\.")
    )
    expect(saved(watched)).to_have_text("Saved here and on the server")
    digest = watched.evaluate(DIGEST)
    with watched.expect_download():
        button(watched, "Download the recording").click()
    button(watched, "Continue with this take").click()
    watched.wait_for_url(EDIT)
    upload = Upload.objects.get()
    assert upload.finished_at is not None
    assert digest_of(storage.absolute(upload.path)) == digest


def test_a_take_whose_camera_ended_can_be_made_again(watched):
    start(watched)
    wait_for_bytes(watched)
    watched.evaluate("lose('video'); lose('audio')")
    with watched.expect_response(lambda r: r.request.method == "DELETE"):
        button(watched, "Record again").click()
    expect(button(watched, "Start recording")).to_be_visible()
    assert files_left() == []
    start(watched)
    wait_for_bytes(watched)
    stop(watched)


def test_a_camera_that_ends_before_anything_is_recorded_promises_nothing(watched):
    watched.evaluate("Object.defineProperty(BlobEvent.prototype, 'data', { get: () => new Blob() })")
    start(watched)
    watched.evaluate("lose('video')")
    expect(heading(watched, "Nothing was recorded")).to_be_focused()
    expect(button(watched, "Download the recording")).to_be_hidden()
    assert watched.evaluate(SPOOLED) == {"takes": [], "bytes": 0}


def test_a_muted_camera_and_microphone_are_said_as_long_as_they_are(watched):
    note = watched.locator("[data-nopicture]")
    level = watched.locator("[data-level]")
    for record in (lambda: None, lambda: start(watched)):
        record()
        expect(note).to_be_hidden()
        watched.evaluate("turn('video', true)")
        expect(note).to_contain_text("The camera gives no picture.")
        expect(said(watched)).to_contain_text("The camera gives no picture.")
        watched.evaluate("turn('video', false)")
        expect(note).to_be_hidden()
        expect(said(watched)).to_have_text("The camera gives a picture again.")
        watched.evaluate("turn('audio', true)")
        expect(level).to_contain_text("Your microphone is muted")
        watched.evaluate("turn('audio', false)")
        expect(level).to_have_text("We hear you")
    wait_for_bytes(watched)
    stop(watched)


def test_a_silent_microphone_is_said(open_recorder):
    page = open_recorder("""
      const camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        const silence = new AudioContext().createMediaStreamDestination().stream.getAudioTracks();
        return new MediaStream([...(await camera(wanted)).getVideoTracks(), ...silence]);
      };
    """)
    expect(page.locator("[data-level]")).to_have_text("Say something: the bars should move.")
    expect(page.locator("[data-level]")).to_have_text("We cannot hear you. Is the right microphone chosen?")
    expect(said(page)).to_have_text("We cannot hear you. Is the right microphone chosen?")
    start(page)
    expect(page.locator("[data-level]")).to_be_visible()


def test_a_camera_that_answers_late_is_let_go(open_recorder):
    page = open_recorder(CAMERA)
    page.evaluate("""() => {
      const now = navigator.mediaDevices.getUserMedia;
      const first = now({ video: true, audio: true });
      let calls = 0;
      const late = new Promise((done) => (window.late = () => done(first)));
      navigator.mediaDevices.getUserMedia = (wanted) => (calls++ ? now(wanted) : late);
      for (const name of ["camera", "microphone"]) document.querySelector(`[data-${name}]`).dispatchEvent(new Event("change"));
    }""")
    expect(button(page, "Start recording")).to_be_visible()
    page.evaluate("late()")
    live = "() => streams.filter((one) => one.getTracks().some((track) => track.readyState === 'live')).length === 1"
    page.wait_for_function(live)
    assert page.evaluate("document.querySelector('[data-selfview]').srcObject === streams.at(-1)")
    assert page.evaluate("streams.length") == 3


# ---- The browser's recorder -----------------------------------------------------------------------------------------------------
def test_a_recorder_that_breaks_keeps_what_it_had(watched):
    start(watched)
    wait_for_bytes(watched)
    watched.evaluate("lastRecorder.dispatchEvent(new Event('error'))")
    expect(heading(watched, "The browser stopped recording")).to_be_focused()
    expect(watched.locator("[data-problem-text]")).to_contain_text("The recording until then is kept")
    digest = watched.evaluate(DIGEST)
    button(watched, "Continue with this take").click()
    watched.wait_for_url(EDIT)
    assert digest_of(storage.absolute(Upload.objects.get().path)) == digest


def test_a_recorder_that_stops_by_itself_keeps_what_it_had(watched):
    start(watched)
    wait_for_bytes(watched)
    watched.evaluate("lastRecorder.stop()")
    expect(heading(watched, "The browser stopped recording")).to_be_focused()
    expect(button(watched, "Continue with this take")).to_be_visible()


@pytest.mark.parametrize(
    "refuse",
    [
        "const Native = MediaRecorder;"
        "window.MediaRecorder = function () { throw new DOMException('no', 'NotSupportedError'); };"
        "MediaRecorder.isTypeSupported = () => true; window.mend = () => { window.MediaRecorder = Native; };",
        "const native = MediaRecorder.prototype.start;"
        "MediaRecorder.prototype.start = () => { throw new DOMException('no', 'NotSupportedError'); };"
        "window.mend = () => { MediaRecorder.prototype.start = native; };",
    ],
    ids=["made", "started"],
)
def test_a_recorder_that_cannot_start_says_so_and_can_be_tried_again(open_recorder, refuse):
    page = open_recorder(refuse)
    button(page, "Start recording").click()
    button(page, "Skip").click()
    expect(heading(page, "The recording could not be started")).to_be_focused()
    expect(page.locator("[data-problem-code]")).to_have_text("What the browser said: NotSupportedError")
    assert not Upload.objects.exists()
    page.evaluate("mend()")
    button(page, "Try again").click()
    start(page)
    wait_until_saved(page)
    stop(page)


def hold(page, pattern):
    """Let requests wait; returns the function that lets them go."""
    held = []
    is_open = []
    page.route(pattern, lambda route: route.continue_() if is_open else held.append(route))

    def let_go():
        is_open.append(True)
        for route in held:
            route.continue_()

    return let_go


def wait_until_saved(page):
    expect(saved(page)).to_have_text("Saved here and on the server")


# ---- Where the take is ----------------------------------------------------------------------------------------------------------
def test_what_the_server_lacks_is_counted(watched):
    let_go = hold(watched, PATCH)
    start(watched)
    expect(saved(watched)).to_have_text(re.compile(r"^Saved here, [3-9] s still to be sent$"))
    let_go()
    wait_until_saved(watched)


NO_ROOM = {
    "none": "Object.defineProperty(window, 'indexedDB', { get: () => { throw new DOMException('no', 'SecurityError'); } });",
    # The disk is full: the request succeeds, the transaction is undone.
    "full": """
      const put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = function (...args) {
        const request = put.apply(this, args);
        request.addEventListener("success", () => request.transaction.abort());
        return request;
      };
    """,
}


@pytest.mark.parametrize("why", NO_ROOM)
def test_a_browser_without_room_says_that_the_take_is_not_saved_here(open_recorder, why):
    page = open_recorder(NO_ROOM[why])
    let_go = hold(page, PATCH)
    start(page)
    expect(saved(page)).to_have_text(re.compile(r"^In memory only, \d s still to be sent. Keep this page open.$"))
    let_go()
    expect(saved(page)).to_have_text("On the server. This browser has no room to save it as well.")
    stop(page)
    upload = Upload.objects.get()
    assert upload.offset == upload.length > 0


def test_a_browser_that_makes_only_mp4_says_so_and_sends_after_stop(recorder):
    recorder.add_init_script("""
      const knows = MediaRecorder.isTypeSupported.bind(MediaRecorder);
      MediaRecorder.isTypeSupported = (type) => type.startsWith("video/mp4") && knows(type);
    """)
    recorder.reload()
    start(recorder)
    expect(saved(recorder)).to_have_text("In memory until you press Stop: this browser cannot save earlier.")
    recorder.wait_for_function("() => document.querySelector('[data-time]').textContent >= '0:02'")
    assert recorder.evaluate("recorded") == 0
    size = stop(recorder)
    upload = Upload.objects.get()
    assert upload.length == upload.offset == size
    assert storage.absolute(upload.path).read_bytes()[4:8] == b"ftyp"
    tasks.convert(upload.video_id)
    assert Video.objects.get().state == "ready"


# ---- The server -----------------------------------------------------------------------------------------------------------------
def answer_with(page, status, body="<h1>No</h1>", content_type="text/html", headers=None):
    page.route(PATCH, lambda route: route.fulfill(status=status, body=body, content_type=content_type, headers=headers))


def test_a_session_of_another_tab_asks_to_reload_and_the_studio_offers_the_take(watched):
    start(watched)
    wait_for_bytes(watched)
    answer_with(watched, 403)
    expect(saved(watched)).to_have_text("Saved here only. This page is out of date: reload it after Stop.")
    button(watched, "Stop").click()
    expect(heading(watched, "This page is out of date")).to_be_focused()
    text = watched.locator("[data-problem-text]")
    expect(text).to_contain_text("Reload this page; your take is kept on this computer")
    expect(button(watched, "Download the recording")).to_be_visible()
    expect(watched.get_by_role("link", name="Upload a video")).to_be_hidden()
    watched.unroute(PATCH)
    kept = watched.evaluate(SPOOLED)["bytes"]
    button(watched, "Reload").click()
    button(watched, "Continue with it").click()  # at once, not after the time a living take is given
    watched.wait_for_url(EDIT)
    upload = Upload.objects.get()
    assert upload.offset == upload.length == kept


@pytest.mark.parametrize("way", ["words", "sign-in page"])
def test_signed_out_is_said_with_the_way_back(watched, live_server, browser_context, way):
    start(watched)
    wait_for_bytes(watched)
    if way == "words":
        browser_context.clear_cookies(name="pitch_session")
    else:
        login = f"{live_server.url}/accounts/login/"
        watched.route(PATCH, lambda route: route.fulfill(status=303, headers={"Location": login}))
    expect(saved(watched)).to_have_text("Saved here only. You are signed out: sign in again after Stop.")
    button(watched, "Stop").click()
    expect(heading(watched, "You are signed out")).to_be_focused()
    expect(watched.locator("[data-problem-text]")).to_contain_text("Your recording is kept on this computer.")
    browser_context.clear_cookies()
    button(watched, "Sign in again").click()
    expect(watched.get_by_label("Password")).to_be_visible()


def test_a_refusal_without_words_is_still_a_sentence(watched):
    answer_with(watched, 413)
    start(watched)
    why = "It gave no reason (HTTP 413). If it happens again, tell your administrator this number."
    expect(saved(watched)).to_have_text("Saved here only. The server refused it (HTTP 413).")
    button(watched, "Stop").click()
    expect(heading(watched, "The server did not take the recording")).to_be_focused()
    expect(watched.locator("[data-problem-text]")).to_have_text(why)
    expect(button(watched, "Download the recording")).to_be_visible()
    watched.unroute(PATCH)
    button(watched, "Try again").click()
    watched.wait_for_url(EDIT)


def test_a_server_with_a_fault_is_tried_again(watched):
    answer_with(watched, 502)
    start(watched)
    expect(saved(watched)).to_have_text("Saved here, will upload")
    watched.wait_for_function("() => recorded > 0")
    button(watched, "Stop").click()
    expect(watched.locator("[data-finishing]")).to_contain_text("The server has a fault at the moment.")
    digest = watched.evaluate(DIGEST)
    watched.unroute(PATCH)
    watched.wait_for_url(EDIT)
    assert digest_of(storage.absolute(Upload.objects.get().path)) == digest


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            403,
            "This page is out of date, most likely because you signed in again in another tab. Reload it, then start again.",
        ),
        (413, "The server gave no reason (HTTP 413)."),
    ],
)
def test_a_refused_file_says_what_to_do(studio, make_take, status, words):
    answer_with(studio, status)
    studio.locator("[data-upload-input]").set_input_files(make_take("mp4"))
    expect(studio.locator("[data-upload-words]")).to_contain_text(f"The upload was refused: {words}")


# ---- The page -------------------------------------------------------------------------------------------------------------------
def test_leaving_while_the_take_is_handed_over_is_asked_about(watched):
    start(watched)
    wait_for_bytes(watched)
    held = []
    watched.route(re.compile("/finish$"), lambda route: held.append(route))
    button(watched, "Stop").click()
    expect(watched.locator("[data-finishing]")).to_be_visible()
    asked = []
    watched.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    with watched.expect_event("dialog"):
        watched.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    while not held:
        watched.wait_for_timeout(20)
    held[0].continue_()
    watched.wait_for_url(EDIT)
    assert asked == ["beforeunload"]  # the way to Compose itself is not asked about


def test_two_clicks_on_start_start_once(watched):
    watched.evaluate("""() => {
      window.made = 0;
      window.MediaRecorder = class extends window.MediaRecorder {
        constructor(...args) { super(...args); window.made += 1; }
      };
    }""")
    button(watched, "Start recording").dblclick()
    expect(button(watched, "Skip")).to_be_visible()  # the second click did not hit what took the button's place
    watched.evaluate("document.querySelector('[data-act=start]').click()")
    button(watched, "Skip").click()
    expect(button(watched, "Stop")).to_be_visible()
    # Longer than the countdown: a second one would have come to its end meanwhile.
    watched.wait_for_function("() => document.querySelector('[data-time]').textContent >= '0:04'")
    assert watched.evaluate("made") == 1
    assert Upload.objects.count() == 1


def test_the_keyboard_is_never_lost(recorder):
    button(recorder, "Start recording").focus()
    for name in ("Skip", "Stop"):
        recorder.keyboard.press("Enter")
        expect(button(recorder, name)).to_be_focused()
    button(recorder, "Pause").focus()
    for name in ("Go on", "Pause"):
        recorder.keyboard.press("Enter")
        expect(button(recorder, name)).to_be_focused()
    button(recorder, "Start over").focus()
    recorder.keyboard.press("Enter")
    expect(button(recorder, "Start recording")).to_be_focused()
    recorder.keyboard.press("Enter")
    button(recorder, "Cancel").focus()
    recorder.keyboard.press("Enter")
    expect(button(recorder, "Start recording")).to_be_focused()


def test_the_countdown_is_said_once(open_recorder):
    page = open_recorder()
    page.evaluate("""() => {
      window.heard = [];
      const region = document.querySelector("[data-say]");
      new MutationObserver(() => heard.push(region.textContent)).observe(region, { childList: true });
    }""")
    button(page, "Start recording").click()
    expect(button(page, "Stop")).to_be_visible()
    heard = page.evaluate("heard")
    assert [words for words in heard if "starts" in words] == ["Recording starts in 3 seconds."]
    assert heard[-1] == "recording"


WAKE = """
  window.locks = [];
  navigator.wakeLock.request = async () => {
    const lock = new EventTarget();
    lock.released = false;
    lock.release = async () => { lock.released = true; };
    window.locks.push(lock);
    return lock;
  };
  window.look = (isHidden) => {
    Object.defineProperty(document, "visibilityState", { value: isHidden ? "hidden" : "visible", configurable: true });
    if (isHidden) for (const lock of window.locks) lock.released = true; // as browsers do
    document.dispatchEvent(new Event("visibilitychange"));
  };
"""
AWAKE = "() => locks.filter((lock) => !lock.released).length === 1"
ASLEEP = "() => locks.every((lock) => lock.released)"


def test_the_screen_stays_awake_while_recording_and_no_longer(open_recorder):
    page = open_recorder(CAMERA, WAKE)
    start(page)
    page.wait_for_function(AWAKE)
    page.evaluate("look(true)")
    page.wait_for_function(ASLEEP)
    page.evaluate("look(false)")
    page.wait_for_function(AWAKE)
    button(page, "Start over").click()
    page.wait_for_function(ASLEEP)
    start(page)
    page.wait_for_function(AWAKE)
    wait_until_saved(page)
    page.evaluate("lose('video')")
    expect(heading(page, "The camera was lost")).to_be_visible()
    page.wait_for_function(ASLEEP)
    page.evaluate("look(true); look(false)")
    page.wait_for_function(ASLEEP)


# ---- The studio -----------------------------------------------------------------------------------------------------------------
def test_a_left_take_is_offered_without_a_reload_and_a_living_one_never(recorder, browser_context, live_server):
    start(recorder)
    wait_for_bytes(recorder)
    again = browser_context.new_page()
    again.clock.install()
    again.goto(f"{live_server.url}/")
    expect(again.locator("[data-stage]")).to_be_visible()
    looks = "window.looks = 0; const query = navigator.locks.query; "
    looks += "navigator.locks.query = async function () { const found = await query.call(this); window.looks += 1; return found; };"
    again.evaluate(f"() => {{ {looks} }}")
    again.clock.fast_forward(40_000)  # as if the other tab had not been given time for its beats
    again.wait_for_function("() => looks > 0")
    expect(again.locator("[data-unsent]")).to_be_hidden()
    recorder.close()
    again.evaluate("async () => { while ((await navigator.locks.query()).held.length); }")
    again.clock.run_for(40_000)
    expect(again.locator("[data-unsent]")).to_contain_text("A recording is waiting: 0:0")
    again.clock.fast_forward(40_000)
    button(again, "Continue with it").click()
    again.wait_for_url(EDIT)


def test_the_recorder_points_to_a_take_that_waits(recorder, browser_context, live_server):
    start(recorder)
    wait_for_bytes(recorder)
    recorder.close()
    again = browser_context.new_page()
    again.clock.install()
    again.goto(f"{live_server.url}/record/")
    expect(button(again, "Start recording")).to_be_visible()
    again.clock.fast_forward(40_000)
    expect(again.get_by_role("link", name="A recording of an earlier visit is waiting in the studio.")).to_be_visible()


def test_a_canceled_hand_over_of_a_left_take_keeps_it(recorder, browser_context, live_server):
    start(recorder)
    wait_for_bytes(recorder)
    recorder.close()
    again = browser_context.new_page()
    again.clock.install()
    again.goto(f"{live_server.url}/")
    again.clock.fast_forward(40_000)
    again.route(re.compile("/finish$"), lambda route: None)
    button(again, "Continue with it").click()
    expect(again.locator("[data-unsent]")).to_be_hidden()
    button(again, "Cancel").click()
    expect(again.locator("[data-unsent]")).to_contain_text("A recording is waiting: 0:0")
    again.unroute(re.compile("/finish$"))
    button(again, "Continue with it").click()
    again.wait_for_url(EDIT)


def test_a_file_is_dropped_on_the_page(studio, make_take):
    film = make_take("mp4")
    transfer = studio.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "Hamburg.mp4", { type: "video/mp4" }));
          return transfer;
        }""",
        list(film.read_bytes()),
    )
    studio.dispatch_event("body", "drop", {"dataTransfer": transfer})
    studio.wait_for_url(EDIT)
    video = Video.objects.get()
    assert video.title == "Hamburg"
    assert storage.absolute(video.original_path).read_bytes() == film.read_bytes()
