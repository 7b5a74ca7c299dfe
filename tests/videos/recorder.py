"""Steps in the recorder and looks into what it keeps, for tests in a real browser."""

import hashlib
import re

from playwright.sync_api import expect

WAIT = """const wait = (request) => new Promise((done, lost) => {
  request.onsuccess = () => done(request.result);
  request.onerror = lost;
});"""
SPOOLED = """async () => {
  WAIT
  const db = await wait(indexedDB.open("pitch-takes", 1));
  const takes = await wait(db.transaction("takes").objectStore("takes").getAll());
  const pieces = await wait(db.transaction("pieces").objectStore("pieces").getAll());
  db.close();
  return { takes, bytes: pieces.reduce((sum, piece) => sum + piece.blob.size, 0) };
}""".replace("WAIT", WAIT)
DIGEST = """async () => {
  const bytes = await new Blob(window.given).arrayBuffer();
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}"""
FORGET_BEAT = """async () => {
  WAIT
  const db = await wait(indexedDB.open("pitch-takes", 1));
  const store = db.transaction("takes", "readwrite").objectStore("takes");
  for (const take of await wait(store.getAll())) await wait(store.put({ ...take, beat: take.beat - 60_000 }));
  db.close();
}""".replace("WAIT", WAIT)
# Keeps in the page what the browser gave, and how many bytes that is.
COUNT = """
  window.recorded = 0;
  window.given = [];
  const Native = window.MediaRecorder;
  window.MediaRecorder = class extends Native {
    constructor(...args) {
      super(...args);
      window.lastRecorder = this;
      this.addEventListener("dataavailable", (event) => {
        window.recorded += event.data.size;
        window.given.push(event.data);
      });
    }
  };
"""


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def start(page):
    button(page, "Start recording").click()
    button(page, "Skip").click()
    expect(button(page, "Stop")).to_be_visible()


def wait_for_bytes(page, count=1):
    """Wait until the page has handed over a piece, and the server has confirmed one."""
    page.wait_for_function("count => window.recorded >= count", arg=count)
    expect(page.locator("[data-saved]")).to_have_text("Saved here and on the server")


def stop(page):
    """Press Stop; returns how many bytes the take had."""
    with page.expect_request(re.compile("/finish$")) as sent:
        button(page, "Stop").click()
    size = sent.value.post_data_json["length"]
    page.wait_for_url(re.compile(r"/messages/[a-z0-9]+/edit"))
    return size


def digest_of(path):
    """Return the SHA-256 of a file, as DIGEST does of what the browser recorded."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
