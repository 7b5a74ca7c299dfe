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

export class Take {
  /** onPiece(blob): in order, never empty. */
  constructor(stream, onPiece) {
    const mimeType = chooseType();
    this.recorder = new MediaRecorder(stream, { ...(mimeType && { mimeType }), videoBitsPerSecond: 2_500_000, audioBitsPerSecond: 128_000 });
    this.type = this.recorder.mimeType || mimeType || "video/webm";
    this.elapsed = 0;
    this.since = null;
    this.recorder.addEventListener("dataavailable", (event) => event.data.size && onPiece(event.data));
  }

  start() {
    // Less than a second gives empty pieces in some browsers.
    if (this.type.startsWith("video/mp4")) this.recorder.start();
    else this.recorder.start(1000);
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

  /** Resolves when the last piece was given. */
  stop() {
    this.elapsed = this.ms;
    this.since = null;
    if (this.recorder.state === "inactive") return Promise.resolve();
    return new Promise((done) => {
      this.recorder.addEventListener("stop", done, { once: true });
      this.recorder.stop();
    });
  }
}
