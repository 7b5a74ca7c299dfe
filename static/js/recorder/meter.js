// The level meter: bars for the eye, and words when nothing is heard.

const QUIET = 0.012; // root mean square, far below a whisper at arm's length
const DEAF_AFTER = 2500;

/** Watch a stream's sound; calls onLevel(0..1) about ten times a second, and onHearing(bool) once it knows and when that changes. */
export function watchLevel(stream, { onLevel, onHearing }) {
  if (!stream.getAudioTracks().length) return () => {};
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let lastHeard = performance.now();
  let hears = null; // not known yet
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const level = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
    const now = performance.now();
    if (context.state !== "running") {
      context.resume().catch(() => {});
      lastHeard = now; // nothing was listened to, so nothing can be said about it
    }
    let hearsNow = hears;
    if (level > QUIET) {
      lastHeard = now;
      hearsNow = true;
    } else if (now - lastHeard >= DEAF_AFTER) hearsNow = false;
    if (hearsNow !== hears) onHearing((hears = hearsNow));
    onLevel(Math.min(1, Math.max(0, 1 + Math.log10(level + 1e-6) / 2.2)));
  }, 100);
  return () => {
    clearInterval(timer);
    context.close();
  };
}
