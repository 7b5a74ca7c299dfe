// One take: MediaRecorder with a slice a second. WebM and Matroska bear being cut anywhere; MP4 does not, so it comes as one blob.

const TYPES = [
  "video/webm;codecs=h264,opus",
  "video/x-matroska;codecs=avc1,opus",
  "video/webm;codecs=vp9,opus",
  "video/webm;codecs=vp8,opus",
  "video/webm",
  "video/mp4;codecs=avc1,mp4a.40.2",
  "video/mp4",
];

export function chooseType() {
  return TYPES.find((type) => MediaRecorder.isTypeSupported(type)) ?? "";
}

const LAST_WORDS = 10_000; // a recorder that broke may never say that it stopped

export class Take {
  /** onPiece(blob): in order, never empty. onBroken(): the browser gave up by itself. Throws what the browser throws. */
  constructor(stream, { onPiece, onBroken }) {
    const mimeType = chooseType();
    this.recorder = new MediaRecorder(stream, { ...(mimeType && { mimeType }), videoBitsPerSecond: 2_500_000, audioBitsPerSecond: 128_000 });
    this.type = this.recorder.mimeType || mimeType || "video/webm";
    this.isWhole = this.type.startsWith("video/mp4"); // comes as one piece at the end
    this.elapsed = 0;
    this.since = null;
    this.isStarted = false;
    this.isOver = false;
    this.stopped = new Promise((done) => this.recorder.addEventListener("stop", done, { once: true }));
    const broke = () => this.isOver || onBroken();
    this.recorder.addEventListener("error", broke);
    this.recorder.addEventListener("stop", broke);
    this.recorder.addEventListener("dataavailable", (event) => event.data.size && onPiece(event.data));
  }

  start() {
    // Less than a second gives empty pieces in some browsers.
    if (this.isWhole) this.recorder.start();
    else this.recorder.start(1000);
    this.isStarted = true;
    this.since = performance.now();
  }

  get ms() {
    return this.elapsed + (this.since === null ? 0 : performance.now() - this.since);
  }

  pause() {
    this.recorder.pause();
    this.elapsed = this.ms;
    this.since = null;
  }

  resume() {
    this.recorder.resume();
    this.since = performance.now();
  }

  /** Resolves when the last piece was given; may be called again. */
  async stop() {
    this.isOver = true;
    this.elapsed = this.ms;
    this.since = null;
    // A recorder that stops by itself is inactive before it has given its last piece, so the event is waited for all the same.
    if (this.recorder.state !== "inactive") this.recorder.stop();
    await Promise.race([this.stopped, new Promise((done) => setTimeout(done, LAST_WORDS))]);
  }
}
