// The studio: self-view when the browser already may, upload of a file, and takes that an earlier visit left.
import { csrfToken } from "./http.js";
import { leftTakes, removeTake, Spool } from "./recorder/spool.js";
import { Refused, Upload } from "./recorder/tus.js";

const stage = document.querySelector("[data-stage]");
const words = JSON.parse(document.getElementById("upload-words").textContent);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
const box = stage.querySelector("[data-upload-box]");
const said = stage.querySelector("[data-upload-words]");
const bar = stage.querySelector("[data-upload-bar]");
const input = stage.querySelector("[data-upload-input]");
let running = null;

/** The live picture is shown only where the browser does not have to ask. */
async function selfView() {
  const state = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
  if (state?.state !== "granted" || !window.isSecureContext) return;
  const view = stage.querySelector("[data-selfview]");
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } }).catch(() => null);
  if (!stream) return;
  view.srcObject = stream;
  await view.play().catch(() => {});
  view.hidden = false;
  stage.querySelector("[data-selfview-wait]").hidden = true;
  addEventListener("pagehide", () => stream.getTracks().forEach((track) => track.stop()));
}

function go(video) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = stage.dataset.createUrl;
  const put = (name, value) => form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  put("csrfmiddlewaretoken", csrfToken());
  put("video", video);
  document.body.append(form);
  form.submit();
}

function tell(text, isOver = false) {
  box.hidden = false;
  said.textContent = text;
  bar.hidden = isOver;
  box.querySelector("[data-upload-cancel]").hidden = isOver;
}

async function send(file) {
  const limit = Number(stage.dataset.maxBytes);
  const name = file.name;
  if (file.type && !file.type.startsWith("video/") && !/\.(mp4|mov|m4v|webm|mkv|avi|mpe?g|ts|3gp|ogv|flv)$/i.test(name)) {
    return tell(fill(words.notVideo, { name }), true);
  }
  if (!file.size) return tell(fill(words.notVideo, { name }), true);
  if (file.size > limit) return tell(fill(words.tooLarge, { name, size: megabytes(file.size), limit: megabytes(limit) }), true);
  running?.drop();
  const source = { size: () => file.size, read: async (from, to) => file.slice(from, to) };
  const progress = (done) => {
    bar.value = (100 * done) / file.size;
    tell(fill(words.progress, { name, done: megabytes(done), total: megabytes(file.size) }));
  };
  const upload = new Upload({
    url: stage.dataset.uploadsUrl, source, length: file.size, metadata: { filename: name, filetype: file.type, source: "uploaded" },
    onProgress: progress, onState: (state) => state === "waiting" && tell(words.waiting),
  });
  running = upload;
  progress(0);
  try {
    await upload.run(() => upload.offset >= file.size);
    if (upload.stopped) return;
    tell(words.finishing);
    running = null;
    go(upload.video);
  } catch (error) {
    running = null;
    bar.value = 0;
    tell(fill(words.failed, { why: error instanceof Refused ? error.message : String(error.message) }), true);
  }
}

stage.querySelector("[data-upload]").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  const [file] = input.files;
  input.value = ""; // the same file may be chosen again
  if (file) send(file);
});
box.querySelector("[data-upload-cancel]").addEventListener("click", async () => {
  await running?.drop();
  running = null;
  tell(words.canceled, true);
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer?.files[0]) send(event.dataTransfer.files[0]);
});
addEventListener("beforeunload", (event) => running && event.preventDefault());

// ---- A take that was not handed over ------------------------------------------------------------------------------------------
async function offerLeftTake() {
  const [take] = await leftTakes(stage.dataset.owner);
  const banner = document.querySelector("[data-unsent]");
  if (!take || !banner) return;
  const seconds = Math.max(1, Math.round(take.ms / 1000));
  const length = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const when = new Date(take.startedAt).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  banner.querySelector("[data-unsent-words]").textContent = fill(words.unsent, { length, when });
  banner.hidden = false;
  // Properties, not listeners: the next take takes their place.
  banner.querySelector("[data-unsent-continue]").onclick = () => {
    banner.hidden = true;
    finish(take);
  };
  banner.querySelector("[data-unsent-delete]").onclick = async () => {
    if (take.location) await new Upload({ url: stage.dataset.uploadsUrl, source: null, location: take.location }).drop();
    await removeTake(take.id);
    banner.hidden = true;
    offerLeftTake();
  };
  banner.querySelector("[data-unsent-download]").onclick = async () => {
    const spool = await Spool.recover(take);
    const link = Object.assign(document.createElement("a"), {
      href: URL.createObjectURL(spool.blob()), download: `recording.${take.type.includes("mp4") ? "mp4" : "webm"}`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
}

async function finish(take) {
  const spool = await Spool.recover(take);
  const metadata = { filename: "recording", filetype: take.type, source: "recorded" };
  const make = (location, video) =>
    new Upload({
      url: stage.dataset.uploadsUrl, source: spool, metadata, location, video, onState: (state) => state === "waiting" && tell(words.waiting),
      onProgress: (done) => {
        bar.value = (100 * done) / spool.size();
      },
    });
  let upload = make(take.location, take.video);
  upload.unsure = take.location !== null;
  tell(words.finishing);
  running = upload;
  try {
    await upload.run(() => upload.offset >= spool.size()).catch((error) => {
      // The server has dropped what it had (too old): it gets all of it again.
      if (!(error instanceof Refused) || ![404, 410].includes(error.status)) throw error;
      upload = running = make(null, null);
      return upload.run(() => upload.offset >= spool.size());
    });
    if (upload.stopped) return;
    const { video } = await upload.finish(spool.size());
    await spool.remove();
    running = null;
    go(video);
  } catch (error) {
    running = null;
    tell(fill(words.failed, { why: error.message }), true);
    offerLeftTake();
  }
}

selfView();
offerLeftTake();
