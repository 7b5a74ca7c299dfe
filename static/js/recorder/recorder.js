// The recorder's page: camera, countdown, take, and handing the take over while it is made.
import { csrfToken } from "../http.js";
import { fillPickers, openCamera, remember, stopStream } from "./devices.js";
import { watchLevel } from "./meter.js";
import { Spool } from "./spool.js";
import { Take } from "./take.js";
import { Refused, Upload } from "./tus.js";

const root = document.querySelector("[data-recorder]");
const find = (name) => root.querySelector(`[data-${name}]`);
const words = JSON.parse(document.getElementById("recorder-words").textContent);
const maxMs = Number(root.dataset.maxSeconds) * 1000;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

let stream = null;
let unwatch = () => {};
let take = null;
let spool = null;
let upload = null;
let uploading = null;
let refused = null; // why the server takes no more of this take
let ended = false;
let clock = null;
let countdown = null;
let wakeLock = null;

const clockText = (ms) => `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;

function show(state) {
  root.dataset.state = state;
  for (const element of root.querySelectorAll("[data-show]")) element.hidden = !element.dataset.show.split(" ").includes(state);
  find("problem").hidden = state !== "problem";
  find("frame").hidden = state === "problem";
  find("time").hidden = find("saved").hidden = !["recording", "paused"].includes(state);
}

function say(text) {
  root.querySelector("[data-say]").textContent = text;
}

function problem(name, detail = "") {
  const text = words.errors[name] ?? words.errors.Unknown;
  find("problem-title").textContent = text.title;
  find("problem-text").textContent = detail || text.text;
  find("problem-steps").replaceChildren(...text.steps.map((step) => Object.assign(document.createElement("li"), { textContent: step })));
  find("problem-code").textContent = name in words.errors && words.errors[name] !== words.errors.Unknown ? "" : name;
  find("problem-download").hidden = !spool?.size();
  show("problem");
  find("problem-title").focus();
}

// ---- Camera -----------------------------------------------------------------------------------------------------------------
async function open() {
  show("starting");
  stopStream(stream);
  unwatch();
  try {
    stream = await openCamera();
  } catch (error) {
    stream = null;
    return problem(error.name);
  }
  const view = find("selfview");
  view.srcObject = stream;
  await view.play().catch(() => {});
  await fillPickers(stream, find("camera"), find("microphone"), words);
  for (const track of stream.getTracks()) track.addEventListener("ended", trackEnded);
  const bars = [...find("meter").children];
  const hasSound = stream.getAudioTracks().length > 0;
  find("level").textContent = hasSound ? words.hear : words.muted;
  unwatch = watchLevel(stream, {
    onLevel: (level) => bars.forEach((bar, index) => bar.classList.toggle("on", index < level * bars.length)),
    onHearing: (hears) => {
      find("level").textContent = hears ? words.hear : words.deaf;
      if (!hears) say(words.deaf);
    },
  });
  show("ready");
}

function trackEnded() {
  if (["recording", "paused"].includes(root.dataset.state)) stop();
  else if (["ready", "counting"].includes(root.dataset.state)) {
    countdown?.cancel();
    closeCamera();
    problem("Ended");
  }
}

function closeCamera() {
  unwatch();
  find("selfview").pause(); // the last picture stays while the take is handed over
  stopStream(stream);
  stream = null;
}

// ---- Take ---------------------------------------------------------------------------------------------------------------------
async function count() {
  show("counting");
  const box = find("countdown");
  box.hidden = false;
  const skip = root.querySelector("[data-act=skip]");
  skip.focus();
  const go = await new Promise((done) => {
    countdown = { skip: () => done(true), cancel: () => done(false) };
    let n = 3;
    const tick = () => {
      if (n === 0) return done(true);
      box.textContent = String(n);
      box.setAttribute("aria-label", words.starting.replace("{n}", String(n)));
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
  if (!(await count())) return root.dataset.state === "problem" ? undefined : show("ready");
  if (!stream) return open();
  take = new Take(stream, (blob) => {
    spool.add(blob, take.ms);
    upload.poke();
  });
  spool = new Spool(take.type, root.dataset.owner);
  await spool.start();
  ended = false;
  makeUpload();
  take.start();
  show("recording");
  root.querySelector("[data-act=stop]").focus();
  say(words.recording);
  saved("waiting");
  clock = setInterval(tick, 200);
  wakeLock = await navigator.wakeLock?.request("screen").catch(() => null);
}

function makeUpload() {
  const mine = spool;
  refused = null;
  const made = new Upload({
    url: root.dataset.uploadsUrl,
    source: mine,
    metadata: { filename: "recording", filetype: take.type, source: "recorded" },
    onState: (state) => state === "waiting" && saved(state),
    onProgress: () => {
      mine.note({ location: made.location, video: made.video });
      saved("sending");
    },
  });
  upload = made;
  uploading = made.run(() => ended && made.offset >= mine.size()).catch((error) => {
    refused = error;
    saved("refused");
    return error;
  });
}

function saved(state) {
  if (!spool) return;
  const text = !spool.isDurable ? words.notSpooled : refused ? words.refused.replace("{why}", refused.message) : state === "waiting" ? words.savedHere : words.savedBoth;
  const badge = find("saved");
  if (badge.textContent !== text) {
    badge.textContent = text;
    say(text);
  }
  if (root.dataset.state === "finishing") find("finishing").textContent = state === "waiting" ? words.offline : words.finishing;
}

function tick() {
  const ms = take.ms;
  const left = maxMs - ms;
  find("time").textContent = left < 30_000 ? `${clockText(ms)} · ${words.left.replace("{time}", clockText(Math.max(0, left)))}` : clockText(ms);
  if (left <= 0) {
    say(words.limit);
    stop();
  }
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

async function stop() {
  if (!["recording", "paused"].includes(root.dataset.state)) return;
  clearInterval(clock);
  show("finishing");
  await take.stop();
  closeCamera();
  wakeLock?.release();
  ended = true;
  if (!spool.size()) return problem("Unknown");
  upload.wake(); // no waiting any more, whatever it waits for
  await handOver();
}

async function handOver() {
  try {
    const failed = await uploading;
    if (failed) throw failed;
    const { video } = await upload.finish(spool.size());
    await spool.remove();
    upload.stop();
    go(video);
  } catch (error) {
    problem("Refused", error instanceof Refused ? error.message : "");
  }
}

function go(video) {
  show("finishing");
  const form = document.createElement("form");
  form.method = "post";
  form.action = root.dataset.createUrl;
  const put = (name, value) => form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  put("csrfmiddlewaretoken", csrfToken());
  put("video", video);
  if (root.dataset.message) put("message", root.dataset.message);
  document.body.append(form);
  form.submit();
}

async function retake() {
  clearInterval(clock);
  await take.stop();
  ended = true;
  await upload.drop();
  await spool.remove();
  take = spool = upload = null;
  find("time").textContent = "0:00";
  find("saved").textContent = "";
  await open();
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(spool.blob());
  link.download = `recording.${spool.take.type.includes("mp4") ? "mp4" : "webm"}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const acts = { start, pause, resume, stop, retake, download, skip: () => countdown?.skip(), cancel: () => countdown?.cancel() };

root.addEventListener("click", (event) => {
  const act = event.target.closest("[data-act]")?.dataset.act;
  if (act) acts[act]();
});
find("problem-retry").addEventListener("click", () => {
  if (spool?.size() && ended) {
    // The take is complete and safe; only handing it over failed. The server gets all of it again.
    upload.stop();
    makeUpload();
    show("finishing");
    handOver();
  } else open();
});
find("problem-download").addEventListener("click", download);
for (const kind of ["camera", "microphone"]) {
  find(kind).addEventListener("change", (event) => {
    remember({ [kind]: event.target.value });
    open();
  });
}
navigator.mediaDevices?.addEventListener("devicechange", () => {
  if (root.dataset.state === "ready" && stream) fillPickers(stream, find("camera"), find("microphone"), words);
  else if (root.dataset.state === "problem" && !spool) open();
});
addEventListener("beforeunload", (event) => {
  if (["recording", "paused"].includes(root.dataset.state)) event.preventDefault();
});
// A phone that puts the tab away freezes the picture while the sound goes on.
document.addEventListener("visibilitychange", () => {
  const phone = matchMedia("(pointer: coarse)").matches;
  if (document.visibilityState === "hidden" && phone && root.dataset.state === "recording") pause();
});

open();
