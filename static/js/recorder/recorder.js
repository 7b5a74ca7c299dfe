// The recorder: camera, countdown, take, and handing the take over while it is made.
import { postForm } from "../http.js";
import { fillPickers, openCamera, remember, stopStream, watchTracks } from "./devices.js";
import { watchLevel } from "./meter.js";
import { clockText, fill, find, kept, problem, refusal, refusalText, root, say, show, state, words } from "./page.js";
import { whereSaved } from "./saved.js";
import { Spool, watchLeftTakes } from "./spool.js";
import { Take } from "./take.js";
import { Refused, Trouble, Upload } from "./tus.js";
import { keepAwake, letSleep } from "./wake.js";

const maxMs = Number(root.dataset.maxSeconds) * 1000;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

let stream = null;
let opens = 0; // how often the camera was asked for; only the last one counts
let unwatch = () => {};
const sound = { has: false, muted: false, hears: null };
let take = null;
let spool = null;
let upload = null;
let uploading = null;
let refused = null; // why the server takes no more of this take
let trouble = null; // why the last try failed, until one succeeds
let isComplete = false; // nothing more is recorded
let isLeaving = false;
let savedKind = "";
let clock = null;
let countdown = null;

const isTaking = () => ["recording", "paused"].includes(state());

// ---- Camera -----------------------------------------------------------------------------------------------------------------
async function open() {
  const mine = ++opens;
  show("starting");
  closeCamera();
  let opened;
  try {
    opened = await openCamera();
  } catch (error) {
    if (mine === opens) problem(error.name);
    return;
  }
  if (mine !== opens) return stopStream(opened); // asked again meanwhile: this answer comes late
  stream = opened;
  const view = find("selfview");
  view.srcObject = opened;
  await view.play().catch(() => {});
  await fillPickers(opened, find("camera"), find("microphone"), words);
  if (mine !== opens) return;
  if (opened.getTracks().some((track) => track.readyState === "ended")) return cameraLost("video");
  watchTracks(opened, { onEnded: cameraLost, onMuted: muted });
  const bars = [...find("meter").children];
  Object.assign(sound, { has: opened.getAudioTracks().length > 0, hears: null });
  unwatch = watchLevel(opened, {
    onLevel: (level) => bars.forEach((bar, index) => bar.classList.toggle("on", index < level * bars.length)),
    onHearing: (hears) => {
      sound.hears = hears;
      level();
      if (!hears && !sound.muted) say(words.deaf);
    },
  });
  level();
  show("ready");
}

function level() {
  const isWrong = sound.muted || sound.hears === false;
  const heard = { null: words.listening, true: words.hear, false: words.deaf }[sound.hears];
  find("level").textContent = !sound.has ? words.soundless : sound.muted ? words.microphoneOff : heard;
  find("hearing").classList.toggle("level--warn", sound.has && isWrong);
}

/** A switch or the system turned picture or sound off or on again. */
function muted({ video, audio }) {
  const picture = find("nopicture");
  if (video !== !picture.hidden) say(video ? words.cameraOff : words.cameraOn);
  picture.hidden = !video;
  if (audio !== sound.muted) say(audio ? words.microphoneOff : words.microphoneOn);
  sound.muted = audio;
  level();
}

function cameraLost(kind) {
  if (isTaking()) return cutShort(kind === "video" ? "camera" : "microphone");
  if (!["starting", "ready", "counting"].includes(state())) return;
  countdown?.cancel();
  closeCamera();
  problem(kind === "video" ? "CameraEnded" : "MicrophoneEnded");
}

/** The browser stopped recording; when a track has ended, that is why, and its own event may come later. */
function recorderBroke() {
  const lost = stream?.getTracks().find((track) => track.readyState === "ended");
  cutShort(lost ? { video: "camera", audio: "microphone" }[lost.kind] : "browser");
}

function closeCamera() {
  unwatch();
  unwatch = () => {};
  find("selfview").pause(); // the last picture stays while the take is handed over
  find("nopicture").hidden = true;
  sound.muted = false;
  stopStream(stream);
  stream = null;
}

// ---- Take ---------------------------------------------------------------------------------------------------------------------
async function count() {
  show("counting");
  const box = find("countdown");
  box.hidden = false;
  root.querySelector("[data-act=skip]").focus();
  say(words.countdown); // once: a voice that counts along would be in the take
  const go = await new Promise((done) => {
    countdown = { skip: () => done(true), cancel: () => done(false) };
    let n = 3;
    const tick = () => {
      if (n === 0) return done(true);
      box.textContent = String(n);
      n -= 1;
      countdown.timer = setTimeout(tick, still ? 700 : 1000);
    };
    tick();
  });
  clearTimeout(countdown.timer);
  box.hidden = true;
  return go;
}

async function start() {
  if (!(await count())) return state() === "counting" ? show("ready") : undefined;
  try {
    take = new Take(stream, { onPiece, onBroken: recorderBroke });
    spool = new Spool(take.type, root.dataset.owner);
    await spool.start();
    if (state() !== "counting") return forget(); // the camera was lost meanwhile, and the page says so
    take.start();
  } catch (error) {
    await forget();
    closeCamera();
    return problem("NotStarted", { browserName: error.name });
  }
  isComplete = false;
  makeUpload();
  show("recording");
  root.querySelector("[data-act=stop]").focus();
  say(words.recording);
  saved();
  clock = setInterval(tick, 200);
  keepAwake();
}

function onPiece(blob) {
  if (!spool) return; // thrown away meanwhile
  spool.add(blob, take.ms);
  saved();
  upload?.poke();
}

function makeUpload() {
  const mine = spool;
  refused = trouble = null;
  const made = new Upload({
    url: root.dataset.uploadsUrl,
    source: mine,
    metadata: { filename: "recording", filetype: take.type, source: "recorded" },
    onState: (name, error) => {
      if (name === "waiting") trouble = error;
      saved();
    },
    onProgress: () => {
      trouble = null;
      mine.note({ location: made.location, video: made.video });
      saved();
    },
  });
  upload = made;
  uploading = made.run(() => isComplete && made.offset >= mine.size()).catch((error) => {
    if (upload === made) refused = error;
    saved();
    return error;
  });
}

/** Bring the words about where the take is up to date. */
function saved() {
  if (!spool || !upload) return;
  const why = refused && refusalText(refused);
  const { kind, text, isFine } = whereSaved({ spool, upload, take, refused: why ?? "", isWaiting: trouble !== null, isComplete }, words.saved);
  find("saved").textContent = text;
  find("badge").classList.toggle("badge--warn", !isFine);
  // A few seconds on their way are no news to listen to; everything else is.
  if (kind !== savedKind && text && kind !== "here-sending" && (isTaking() || state() === "kept")) say(text);
  savedKind = kind;
  const offline = spool.isDurable ? words.offline : words.offlineMemory;
  find("finishing").textContent = trouble === null ? words.finishing : trouble instanceof Trouble ? words.trouble : offline;
}

function tick() {
  const ms = take.ms;
  const left = maxMs - ms;
  find("time").textContent = left < 30_000 ? `${clockText(ms)} · ${fill(words.left, { time: clockText(Math.max(0, left)) })}` : clockText(ms);
  if (left <= 0) cutShort("limit");
}

function pause() {
  take.pause();
  show("paused");
  say(words.paused);
}

function resume() {
  take.resume();
  show("recording");
  say(words.resumed);
}

/** End the take and let go of everything it held; resolves to whether there is something in it. */
async function endTake() {
  clearInterval(clock);
  letSleep();
  show("finishing");
  saved();
  await take.stop();
  closeCamera();
  isComplete = true;
  upload.wake(); // no waiting any more, whatever it waits for
  saved();
  if (spool.size()) return true;
  await forget();
  problem("Empty");
  return false;
}

async function stop() {
  if (await endTake()) await handOver();
}

/** End a take that nobody stopped, and ask what is to become of it. */
async function cutShort(reason) {
  if (!isTaking() || !(await endTake())) return;
  kept(reason, take.ms);
  saved();
}

async function handOver() {
  show("finishing");
  saved();
  try {
    const failed = await uploading;
    if (failed) throw failed;
    const { video } = await upload.finish(spool.size());
    await spool.remove();
    upload.stop();
    isLeaving = true;
    postForm(root.dataset.createUrl, { video, ...(root.dataset.message && { message: root.dataset.message }) });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refusal(error, spool.isDurable);
  }
}

/** Throw the take away, here and on the server. */
async function forget() {
  clearInterval(clock);
  letSleep();
  const [oldTake, oldSpool, oldUpload] = [take, spool, upload];
  take = spool = upload = refused = trouble = null;
  savedKind = "";
  find("time").textContent = "0:00";
  find("saved").textContent = "";
  oldUpload?.drop(); // not waited for: the server forgets it later anyway
  if (oldTake?.isStarted) await oldTake.stop();
  await oldSpool?.remove();
}

async function retake() {
  show("starting");
  await forget();
  await open();
}

function retry() {
  if (!spool) return open();
  // The take is complete and safe; only handing it over failed. The server gets all of it again.
  upload.stop();
  makeUpload();
  handOver();
}

/** Go where the page is new, the person is signed in, and the take is offered. */
async function reload() {
  isLeaving = spool.isDurable; // a take that is only in memory would be lost: the browser asks
  await spool.release();
  location.assign(root.dataset.homeUrl);
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(spool.blob());
  link.download = `recording.${spool.take.type.includes("mp4") ? "mp4" : "webm"}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const acts = {
  start, pause, resume, stop, retake, retry, reload, download, continue: handOver, skip: () => countdown.skip(), cancel: () => countdown.cancel(),
};

root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button || event.detail > 1) return; // the second half of a double click would hit what has taken the button's place
  // A click that was on its way when the state changed means nothing any more.
  if (button.closest("[data-show]").dataset.show.split(" ").includes(state())) acts[button.dataset.act]();
});
for (const kind of ["camera", "microphone"]) {
  find(kind).addEventListener("change", (event) => {
    remember({ [kind]: event.target.value });
    open();
  });
}
navigator.mediaDevices?.addEventListener("devicechange", () => {
  if (state() === "ready" && stream) fillPickers(stream, find("camera"), find("microphone"), words);
  else if (state() === "problem" && !spool) open();
});
addEventListener("beforeunload", (event) => {
  const isAtWork = isTaking() || state() === "finishing";
  const isOnlyHere = spool?.size() && !spool.isDurable;
  if (!isLeaving && (isAtWork || isOnlyHere)) event.preventDefault();
});
// A phone that puts the tab away freezes the picture while the sound goes on.
document.addEventListener("visibilitychange", () => {
  const phone = matchMedia("(pointer: coarse)").matches;
  if (document.visibilityState === "hidden" && phone && state() === "recording") pause();
});

watchLeftTakes(root.dataset.owner, (left) => {
  find("unsent").hidden = !left;
});
open();
