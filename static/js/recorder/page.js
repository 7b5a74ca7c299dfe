// What the recorder's page shows: the state it is in, what is said aloud, and the panel for what went wrong.

export const root = document.querySelector("[data-recorder]");
export const words = JSON.parse(document.getElementById("recorder-words").textContent);
export const find = (name) => root.querySelector(`[data-${name}]`);
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
export const state = () => root.dataset.state;

export const clockText = (ms) => `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;

/** "2 minutes 5 seconds", in the language of the page. */
export function lengthText(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const part = (n, unit) => n && new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "long" }).format(n);
  return [part(Math.floor(seconds / 60), "minute"), part(seconds % 60, "second")].filter(Boolean).join(" ");
}

// Where the keyboard goes on when the button it was on is gone.
const NEXT = { ready: "start", counting: "skip", recording: "pause", paused: "resume" };
let isFocusLost = false;

export function show(state) {
  const active = document.activeElement;
  root.dataset.state = state;
  for (const element of root.querySelectorAll("[data-show]")) element.hidden = !element.dataset.show.split(" ").includes(state);
  isFocusLost ||= active?.closest("[hidden]") != null;
  if (!isFocusLost || !NEXT[state]) return;
  root.querySelector(`[data-act=${NEXT[state]}]`).focus();
  isFocusLost = false;
}

/** Say something to screen readers; what is seen is shown elsewhere. */
export function say(text) {
  find("say").textContent = text;
}

/** Fill the panel and bring it up. `acts` are the data-act names of the buttons it has; the first is the way on. */
function panel(state, { title, text, steps = [], code = "", acts, button = "", hasArt = true }) {
  find("problem-title").textContent = title;
  find("problem-text").textContent = text;
  find("problem-steps").replaceChildren(...steps.map((step) => Object.assign(document.createElement("li"), { textContent: step })));
  find("problem-steps").hidden = !steps.length;
  find("problem-code").textContent = code;
  find("problem-art").toggleAttribute("hidden", !hasArt);
  for (const element of find("problem").querySelectorAll("[data-act]")) element.hidden = !acts.includes(element.dataset.act);
  find("problem-upload").hidden = acts[0] !== "retry"; // elsewhere it would lead away from the take
  if (button) find("problem").querySelector(`[data-act=${acts[0]}]`).textContent = button;
  show(state);
  find("problem-title").focus();
  isFocusLost = false;
}

/** The camera, the browser or the server said no. `name` is the browser's word for it or ours; `hasTake`: there is a take to save. */
export function problem(name, { hasTake = false, text = "", browserName = "" } = {}) {
  const known = words.errors[name];
  const { title, text: usual, steps } = known ?? words.errors.Unknown;
  const said = browserName || (known ? "" : name);
  const code = said && fill(words.said, { name: said });
  panel("problem", { title, text: text || usual, steps, code, acts: hasTake ? ["retry", "download"] : ["retry"] });
}

/** The server took no more of a take, and waiting does not help. */
export function refusal(error, isDurable) {
  const known = words.refusals[error.kind];
  if (known?.title) {
    const text = isDurable ? known.text : known.memory;
    return panel("problem", { title: known.title, text, acts: ["reload", "download"], button: known.button });
  }
  problem("Refused", { hasTake: true, text: error.message || fill(known.text, { status: error.status }) });
}

/** The same in a short sentence, for the line that says where the take is. */
export function refusalText(error) {
  const known = words.refusals[error.kind];
  return known ? fill(known.short, { status: error.status }) : error.message;
}

/** A take ended without anybody pressing Stop; it is whole and kept. */
export function kept(reason, ms) {
  const { title, text } = words.kept[reason];
  panel("kept", { title, text: fill(text, { length: lengthText(ms) }), acts: ["continue", "retake", "download"], hasArt: reason !== "limit" });
}
