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
// Not randomUUID, which exists on https only.
const pageId = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
let saves = 0;
let version = state.version;
let dirty = false;
let saving = null;
let timer = null;
let wait = 2000;
let refused = "";
let sent = false;

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
    // Should the answer get lost, the server knows by it that the save it holds is one of this page.
    save_id: `${pageId}.${++saves}`,
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
    return false;
  }
  wait = 2000;
  if (answer.ok) {
    version = answer.body.version;
    refused = "";
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
    if (refused !== status.textContent) toast((refused = status.textContent)); // not again with every letter
  }
  return answer.ok;
}

/** Save now; resolves to whether all is saved. Two saves never overlap: each needs the version of the one before. */
async function save() {
  clearTimeout(timer);
  for (;;) {
    if (sent) return true; // what is in the row is being sent: nothing may change it any more
    if (saving) await saving;
    else if (!dirty) return true;
    else if (!(await (saving = saveOnce().finally(() => (saving = null))))) return false;
  }
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
const sheet = frame.parentElement;
const DESKTOP = { mail: 720, landing: 1100 }; // as wide as a mail is shown on a desktop, and a page

// On a phone a desktop would be too small to read: one may still choose it.
if (matchMedia("(max-width: 56rem)").matches) document.getElementById("v-phone").checked = true;

/** How much a desktop must shrink to fit here. */
function fit() {
  const wide = DESKTOP[form.elements.what.value];
  sheet.style.setProperty("--wide", `${wide}px`);
  sheet.style.setProperty("--fit", String(Math.min(1, sheet.clientWidth / wide) || 1));
}

new ResizeObserver(fit).observe(sheet);

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
  sheet.classList.toggle("sheet--phone", form.elements.dev.value === "phone");
  sheet.classList.toggle("sheet--desktop", form.elements.dev.value === "desktop");
  fit();
}

form.querySelector("[data-preview]").addEventListener("change", refreshPreview);
document.getElementById("mode-preview").addEventListener("change", () => save().then(refreshPreview));

// ---- The video --------------------------------------------------------------------------------------------------------
let take = form.querySelector("[data-take]");

/** Show the take as the page would show it now: there is one place that knows its player, its tools and its troubles. */
async function redrawTake() {
  const answer = await fetch(form.dataset.editUrl);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-take]");
  if (!answer.ok || !fresh) throw new Error("no take");
  take.replaceWith(fresh);
  take = fresh;
}

async function askVideo() {
  const answer = await fetch(take.dataset.statusUrl, { headers: { Accept: "application/json" } });
  if (!answer.ok) return false;
  const video = await answer.json();
  if (video.state === take.dataset.state) return false;
  await redrawTake();
  dirty = true; // the preflight sentence may be another one now
  await save();
  return !isWaiting();
}

const isWaiting = () => ["receiving", "processing"].includes(take.dataset.state);

if (isWaiting()) {
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
const fate = document.querySelector("[data-fate]");
const TEST_OFTEN = 30; // questions, one a second; after that one in ten seconds
let watched = 0;

/** Ask what became of a test mail until it has ended; a refusal stays on the page, good news is a toast. */
async function watchTest(url, started) {
  const mine = ++watched; // the next test ends the watch over this one
  let said = "";
  fate.hidden = true;
  for (let asked = 1; mine === watched; asked++) {
    await new Promise((go) => setTimeout(go, asked < TEST_OFTEN ? 1000 : 10_000));
    const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer || answer.status >= 500) continue; // no connection: asked again
    if (!answer.ok || mine !== watched) return; // signed out, which saving says too
    const body = await answer.json();
    if (body.said !== said) {
      said = body.said;
      started?.remove();
      fate.hidden = body.good || !said;
      if (body.good && said) toast(said);
      else fate.querySelector("[data-fate-words]").textContent = said;
    }
    if (body.ended) return;
  }
}

test.addEventListener("click", async () => {
  test.disabled = true;
  try {
    if (!(await save())) throw new Error("not saved");
    const { body } = await postJson(test.dataset.testUrl, {});
    const started = toast(body?.said ?? body?.error ?? words.failed);
    if (body?.state_url) watchTest(body.state_url, started);
  } catch {
    toast(words.failed);
  }
  test.disabled = false;
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sent) return;
  const byHand = event.submitter?.name === "by_hand";
  for (const field of Object.values(fields)) {
    await field.finish();
    if (field.input.value.trim()) return field.input.focus(), toast(words.failed); // it could not be read: nobody is left out silently
  }
  dirty = true;
  if (!(await save()) || sent) return; // not saved: the status says why, and nothing is sent
  sent = true;
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

// Back by the browser's button: the page may save and send again.
addEventListener("pageshow", (event) => event.persisted && (sent = false));

drawPeople();
refreshPreview();
if (!state.to.length) fields.to.input.focus();
