// A tus 1.0.0 client for one upload: creates it, sends pieces from a source that knows its bytes, asks for the true offset after a
// loss, and goes on. The source is {size(), read(from, to) -> Blob}; it may grow while the upload runs.
import { csrfToken } from "../http.js";

const VERSION = "1.0.0";
const PIECE = 4 * 1024 * 1024; // small requests pass every proxy's limit
const SMALLEST_PIECE = 128 * 1024;
const STALL = 30_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

/** The server said no for good. The message is its own sentence; empty if it gave none (a page, or a proxy's answer). */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }

  /** Why, for pages to find their words by: "signedOut", "stale" (the page is older than the session), "said", "silent". */
  get kind() {
    if (this.status === 401) return "signedOut";
    if (this.message) return "said";
    return this.status === 403 ? "stale" : "silent";
  }
}

/** The server is there and answers, but not as it should; it may do so later. */
export class Trouble extends Error {}

const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

export class Upload {
  /** url: where uploads are made; length: bytes, or null while recording; metadata: texts; onState(state, error): "sending", or "waiting" and why. */
  constructor({ url, source, length = null, metadata = {}, location = null, video = null, offset = 0, onProgress = () => {}, onState = () => {} }) {
    Object.assign(this, { url, source, length, metadata, location, video, offset, onProgress, onState });
    this.stopped = false;
    this.wait = FIRST_WAIT;
    this.wake = () => {};
    this.piece = PIECE;
    this.isIdle = false;
    this.online = () => this.wake();
    addEventListener("online", this.online);
  }

  async request(method, url, { headers = {}, body = null } = {}) {
    const stall = new AbortController();
    this.running = stall;
    const timer = setTimeout(() => stall.abort(), STALL);
    try {
      return await fetch(url, {
        method, body, signal: stall.signal, credentials: "same-origin", cache: "no-store",
        headers: { "Tus-Resumable": VERSION, "X-CSRFToken": csrfToken(), ...headers },
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async create() {
    const metadata = Object.entries(this.metadata).map(([key, value]) => `${key} ${encode(value)}`).join(",");
    const size = this.length === null ? { "Upload-Defer-Length": "1" } : { "Upload-Length": String(this.length) };
    const answer = await this.request("POST", this.url, { headers: { ...size, "Upload-Metadata": metadata } });
    if (answer.redirected || answer.status !== 201) throw await this.refusal(answer);
    this.location = answer.headers.get("Location");
    this.video = answer.headers.get("X-Video");
  }

  /** A refusal that will not change by waiting; everything else is worth another try. */
  async refusal(answer) {
    if (answer.redirected) return new Refused(401, ""); // none of these addresses ever redirects: this is somebody's sign-in page
    const words = await answer.text().catch(() => "");
    const own = answer.headers.get("Content-Type")?.startsWith("text/plain") ? words : "";
    const forGood = [400, 401, 403, 404, 410, 412, 413, 415, 429].includes(answer.status);
    return forGood ? new Refused(answer.status, own) : new Trouble(`HTTP ${answer.status}`);
  }

  /** Send whatever the source has until `isComplete()`; resolves then. Rejects only with Refused. */
  async run(isComplete) {
    while (!this.stopped) {
      try {
        if (!this.location) await (this.creating = this.create());
        if (this.stopped) return;
        if (this.unsure) await this.ask();
        const end = this.source.size();
        if (this.offset < end) await this.send(this.offset, Math.min(end, this.offset + this.piece));
        else if (isComplete()) return;
        else {
          this.isIdle = true;
          await this.pause(60_000);
          this.isIdle = false;
        }
        this.wait = FIRST_WAIT;
      } catch (error) {
        if (this.stopped) return;
        if (error instanceof Refused) throw error;
        // Too much for this line within the time a request may take: the next one asks for less.
        if (error.name === "AbortError") this.piece = Math.max(SMALLEST_PIECE, this.piece / 2);
        this.unsure = this.location !== null;
        this.onState("waiting", error);
        await this.pause(this.wait);
        this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
      }
    }
  }

  async send(from, to) {
    this.onState("sending");
    const body = await this.source.read(from, to);
    const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(from) };
    const answer = await this.request("PATCH", this.location, { headers, body });
    if (answer.status === 409) {
      this.offset = Number(answer.headers.get("Upload-Offset"));
      return;
    }
    if (answer.redirected || answer.status !== 204) throw await this.refusal(answer);
    this.offset = Number(answer.headers.get("Upload-Offset"));
    this.onProgress(this.offset);
  }

  /** After a loss only the server knows how much arrived. */
  async ask() {
    const answer = await this.request("HEAD", this.location);
    if (answer.redirected || !answer.ok) throw await this.refusal(answer);
    this.offset = Number(answer.headers.get("Upload-Offset"));
    this.unsure = false;
    this.onProgress(this.offset);
  }

  /** Close an upload whose length was not known; resolves to {video, state}. */
  async finish(length) {
    for (;;) {
      try {
        const answer = await this.request("POST", `${this.location}/finish`, {
          headers: { "Content-Type": "application/json" }, body: JSON.stringify({ length }),
        });
        if (answer.ok && !answer.redirected) return await answer.json();
        if (answer.status === 409) {
          this.offset = Number(answer.headers.get("Upload-Offset"));
          await this.run(() => this.offset >= length);
          continue;
        }
        throw await this.refusal(answer);
      } catch (error) {
        if (error instanceof Refused || this.stopped) throw error;
        this.onState("waiting", error);
        await this.pause(this.wait);
        this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
      }
    }
  }

  /** New bytes are there, or the recording ended. */
  poke() {
    if (this.isIdle) this.wake(); // a wait after a loss is not shortened by new bytes
  }

  pause(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  async drop() {
    this.stop();
    await this.creating?.catch(() => {}); // what is being made now must go as well
    if (this.location) await this.request("DELETE", this.location).catch(() => {}); // the server purges it later
  }

  stop() {
    this.stopped = true;
    this.running?.abort();
    removeEventListener("online", this.online);
    this.wake();
  }
}
