// Camera and microphone: one request for both (separate ones give silent takes on iOS), the last choice remembered.

const MEMORY = "pitch-devices";

const remembered = () => {
  try {
    return JSON.parse(localStorage.getItem(MEMORY) ?? "{}");
  } catch {
    return {};
  }
};

export function remember(choice) {
  try {
    localStorage.setItem(MEMORY, JSON.stringify({ ...remembered(), ...choice }));
  } catch {
    // A browser that forgets is no reason not to record.
  }
}

/** A named error for what has no name of its own; recorder.js has the words. */
export class NoCamera extends Error {
  constructor(name) {
    super(name);
    this.name = name;
  }
}

function constraints({ camera, microphone }) {
  const size = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
  const sound = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return {
    video: camera ? { ...size, deviceId: { exact: camera } } : { ...size, facingMode: "user" },
    audio: microphone === "none" ? false : microphone ? { ...sound, deviceId: { exact: microphone } } : sound,
  };
}

/** Open camera and microphone. Falls back from remembered devices that are gone, and from a missing microphone. */
export async function openCamera() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new NoCamera("SecurityError");
  if (!window.MediaRecorder) throw new NoCamera("NoRecorder");
  const choice = remembered();
  try {
    return await navigator.mediaDevices.getUserMedia(constraints(choice));
  } catch (error) {
    if (error.name === "OverconstrainedError" && (choice.camera || choice.microphone)) {
      remember({ camera: "", microphone: "" });
      return navigator.mediaDevices.getUserMedia(constraints({}));
    }
    if (error.name === "NotFoundError" && choice.microphone !== "none") {
      const kinds = (await navigator.mediaDevices.enumerateDevices()).map((device) => device.kind);
      if (kinds.includes("videoinput") && !kinds.includes("audioinput")) {
        return navigator.mediaDevices.getUserMedia(constraints({ camera: choice.camera, microphone: "none" }));
      }
    }
    throw error;
  }
}

/** Fill the two pickers with what there is; `words` name devices that have no name yet. */
export async function fillPickers(stream, cameras, microphones, words) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const fill = (select, kind, word, extra) => {
    const current = stream.getTracks().find((track) => `${track.kind}input` === kind)?.getSettings().deviceId ?? "";
    const found = devices.filter((device) => device.kind === kind && device.deviceId);
    const options = found.map((device, index) => new Option(device.label || `${word} ${index + 1}`, device.deviceId));
    select.replaceChildren(...options, ...extra);
    select.value = current || extra[0]?.value || "";
  };
  fill(cameras, "videoinput", words.defaultCamera, []);
  fill(microphones, "audioinput", words.defaultMicrophone, [new Option(words.noMicrophone, "none")]);
}

/**
 * Watch for what the system or a switch does to the tracks. onEnded("video" or "audio"): unplugged, or taken by another program.
 * onMuted({video, audio}): which of them give nothing at the moment.
 */
export function watchTracks(stream, { onEnded, onMuted }) {
  const isMuted = (kind) => stream.getTracks().some((track) => track.kind === kind && track.muted);
  const tell = () => onMuted({ video: isMuted("video"), audio: isMuted("audio") });
  for (const track of stream.getTracks()) {
    track.addEventListener("ended", () => onEnded(track.kind));
    track.addEventListener("mute", tell);
    track.addEventListener("unmute", tell);
  }
  tell();
}

export function stopStream(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
