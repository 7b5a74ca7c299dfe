// The studio: self-view when the browser already may, upload of a file, and takes that an earlier visit left.
import { postForm } from "./http.js";
import { removeTake, Spool, watchLeftTakes } from "./recorder/spool.js";
import { Refused, Trouble, Upload } from "./recorder/tus.js";

const stage = document.querySelector("[data-stage]");
const words = JSON.parse(document.getElementById("upload-words").textContent);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
const box = stage.querySelector("[data-upload-box]");
const said = stage.querySelector("[data-upload-words]");
const bar = stage.querySelector("[data-upload-bar]");
const input = stage.querySelector("[data-upload-input]");
const banner = document.querySelector("[data-unsent]");
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

const go = (video) => postForm(stage.dataset.createUrl, { video });

function tell(text, isOver = false) {
  const isNews = box.hidden || isOver;
  box.hidden = false;
  said.textContent = text;
  bar.hidden = isOver;
  box.querySelector("[data-upload-row]").hidden = isOver;
  if (isNews) box.scrollIntoView({ block: "center" }); // on a phone it is below what was pressed
}

/** The words for an upload's state; only waiting says something. */
function waits(state, error) {
  if (state === "waiting") tell(error instanceof Trouble ? words.trouble : words.waiting);
}

function refuse(error) {
  running = null;
  bar.value = 0;
  const why = error.message || fill(words.refusals[error.kind], { status: error.status });
  tell(fill(words.failed, { why }), true);
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
    onProgress: progress, onState: waits,
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
    refuse(error);
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
function offerLeftTake(take) {
  banner.hidden = !take || running !== null;
  if (banner.hidden) return;
  const seconds = Math.max(1, Math.round(take.ms / 1000));
  const length = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const when = new Date(take.startedAt).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  banner.querySelector("[data-unsent-words]").textContent = fill(words.unsent, { length, when });
  // Properties, not listeners: the next take takes their place.
  banner.querySelector("[data-unsent-continue]").onclick = () => {
    banner.hidden = true;
    finish(take);
  };
  banner.querySelector("[data-unsent-delete]").onclick = async () => {
    if (take.location) await new Upload({ url: stage.dataset.uploadsUrl, source: null, location: take.location }).drop();
    await removeTake(take.id);
    banner.hidden = true;
    look();
  };
  banner.querySelector("[data-unsent-download]").onclick = async () => {
    const spool = await Spool.recover(take);
    const link = Object.assign(document.createElement("a"), {
      href: URL.createObjectURL(spool.blob()),
      download: `recording.${take.type.includes("mp4") ? "mp4" : "webm"}`,
    });
    link.click();
    await spool.release();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
}

async function finish(take) {
  const spool = await Spool.recover(take);
  const metadata = { filename: "recording", filetype: take.type, source: "recorded" };
  const make = (location, video) =>
    new Upload({
      url: stage.dataset.uploadsUrl, source: spool, metadata, location, video, onState: waits,
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
    if (!upload.stopped) {
      const { video } = await upload.finish(spool.size());
      await spool.remove();
      running = null;
      return go(video);
    }
  } catch (error) {
    if (!upload.stopped) refuse(error);
  }
  // Refused or canceled: it is offered again.
  running = null;
  await spool.release();
  look();
}

selfView();
const look = watchLeftTakes(stage.dataset.owner, offerLeftTake);
