// The compose page: chips, saving while typing, preview, test mail, sending.
import { Chips } from "./chips.js";
import { postJson } from "./http.js";
import { toast } from "./toast.js";

const form = document.querySelector("[data-compose]");
const state = JSON.parse(document.getElementById("compose-state").textContent);
const words = JSON.parse(document.getElementById("compose-words").textContent);
const status = document.querySelector("[data-status]");
const pre = form.querySelector("[data-pre]");
const preWords = form.querySelector("[data-pre-words]");
const source = form.querySelector("[data-editor-source]");
const fields = {};
const SAVE_AFTER = 600;
let version = state.version;
let dirty = false;
let saving = null;
let timer = null;
let wait = 2000;

const isTaken = (key) => Object.values(fields).some((field) => field.has(key));
for (const kind of ["to", "bcc"]) {
  fields[kind] = new Chips(form.querySelector(`[data-combo="${kind}"]`), {
    rows: state[kind], limit: state.limit, words, parseUrl: form.dataset.parseUrl, searchUrl: form.dataset.searchUrl, isTaken,
  });
}

const rows = (kind) => fields[kind].rows.map(({ name, address }) => ({ name, address }));

function draft() {
  return {
    version,
    to: rows("to"),
    bcc: rows("bcc"),
    subject: form.elements.subject.value,
    text_html: source.value,
    with_signature: form.elements.with_signature.checked,
    reply_to: form.elements.reply_to.value,
    video: form.querySelector("[data-video]").value,
  };
}

function showPreflight(body) {
  preWords.textContent = body.preflight;
  pre.classList.toggle("pre--warn", !body.ready);
  const use = pre.querySelector("use");
  use?.setAttribute("href", use.getAttribute("href").replace(/#.*/, body.ready ? "#i-check" : "#i-alert"));
}

async function saveOnce() {
  dirty = false;
  status.textContent = words.saving;
  let answer;
  try {
    answer = await postJson(form.dataset.draftUrl, draft(), { keepalive: document.visibilityState === "hidden" });
  } catch {
    dirty = true;
    status.textContent = words.offline;
    schedule((wait = Math.min(wait * 2, 30_000)));
    return;
  }
  wait = 2000;
  if (answer.ok) {
    version = answer.body.version;
    status.textContent = answer.body.saved;
    showPreflight(answer.body);
    form.dispatchEvent(new CustomEvent("draft:saved"));
    refreshPreview();
  } else if (answer.status === 401 || answer.status === 403) {
    dirty = true;
    status.textContent = words.signedOut;
    schedule(10_000);
  } else {
    // Changed in another tab, sent already, or refused: nothing is saved, so nothing may be sent from here.
    dirty = true;
    status.textContent = answer.body?.error ?? words.failed;
    toast(status.textContent);
  }
}

/** Save now; resolves when nothing is left to save. Two saves never overlap: each needs the version of the one before. */
async function save() {
  clearTimeout(timer);
  while (saving) await saving;
  if (!dirty) return;
  saving = saveOnce().finally(() => (saving = null));
  await saving;
}

function schedule(after = SAVE_AFTER) {
  clearTimeout(timer);
  timer = setTimeout(() => save(), after);
}

function changed() {
  dirty = true;
  schedule();
}

form.addEventListener("input", (event) => {
  if (event.target.closest("[data-combo], [data-preview], [data-editor-link]")) return;
  changed();
});
form.addEventListener("chips:change", () => {
  drawPeople();
  changed();
});
addEventListener("online", () => dirty && schedule(100));
addEventListener("beforeunload", (event) => dirty && event.preventDefault());
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && dirty && save());

// ---- Preview --------------------------------------------------------------------------------------------------------
const frame = form.querySelector("[data-frame]");
const people = form.querySelector("[data-as]");

function drawPeople() {
  const chosen = people.value;
  const names = [...fields.to.rows, ...fields.bcc.rows].map((row) => row.name || row.address);
  people.replaceChildren(...(names.length ? names : [""]).map((name) => new Option(name || "…", name)));
  if (names.includes(chosen)) people.value = chosen;
}

function refreshPreview() {
  if (!form.querySelector("[data-preview]").checkVisibility?.()) return;
  const what = form.elements.what.value;
  const name = people.value.includes("@") ? "" : people.value;
  frame.src = `${what === "mail" ? form.dataset.mailUrl : form.dataset.landingUrl}?as=${encodeURIComponent(name)}&v=${version}`;
  frame.parentElement.classList.toggle("sheet--phone", form.elements.dev.value === "phone");
}

form.querySelector("[data-preview]").addEventListener("change", refreshPreview);
document.getElementById("mode-preview").addEventListener("change", () => save().then(refreshPreview));

// ---- The video --------------------------------------------------------------------------------------------------------
const take = form.querySelector("[data-take]");

async function askVideo() {
  const answer = await fetch(take.dataset.statusUrl, { headers: { Accept: "application/json" } });
  if (!answer.ok) return false;
  const video = await answer.json();
  if (video.state === take.dataset.state) return false;
  if (video.state === "ready") {
    const player = Object.assign(document.createElement("video"), { controls: true, playsInline: true, preload: "metadata", poster: video.poster, src: video.mp4 });
    const box = take.querySelector(".video") ?? take;
    box.classList.remove("video--wait");
    box.replaceChildren(player);
    take.querySelector("p.muted")?.remove();
  } else {
    await save();
    location.reload();
  }
  take.dataset.state = video.state;
  dirty = true; // the preflight sentence may be another one now
  await save();
  return true;
}

if (["receiving", "processing"].includes(take.dataset.state)) {
  const poll = setInterval(() => askVideo().then((done) => done && clearInterval(poll)).catch(() => {}), 700);
}

form.addEventListener("click", async (event) => {
  const pick = event.target.closest("[data-pick]");
  if (!pick) return;
  form.querySelector("[data-video]").value = pick.dataset.pick;
  dirty = true;
  await save();
  location.reload();
});

// ---- Test mail, sending -------------------------------------------------------------------------------------------------
const test = document.querySelector("[data-test]");
test.addEventListener("click", async () => {
  test.disabled = true;
  try {
    await save();
    if (dirty) throw new Error("not saved");
    const { body } = await postJson(test.dataset.testUrl, {});
    toast(body?.said ?? body?.error ?? words.failed);
  } catch {
    toast(words.failed);
  }
  test.disabled = false;
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const byHand = event.submitter?.name === "by_hand";
  for (const field of Object.values(fields)) {
    await field.finish();
    if (field.input.value.trim()) return field.input.focus(), toast(words.failed); // it could not be read: nobody is left out silently
  }
  dirty = true;
  await save();
  if (dirty) return; // not saved: the status says why, and nothing is sent
  // What is in the row is what is sent: the form itself carries nothing but the wish.
  const wish = document.createElement("form");
  wish.method = "post";
  wish.action = form.action;
  const put = (name, value) => wish.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  put("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  put("version", String(version));
  if (byHand) put("by_hand", "yes");
  document.body.append(wish);
  wish.submit();
});

drawPeople();
refreshPreview();
if (!state.to.length) fields.to.input.focus();
