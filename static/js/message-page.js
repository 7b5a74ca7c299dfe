// The page of a sent message: copies picture and link for Outlook, ends the undo bar, and says when it cannot know any more.
import { toast } from "./toast.js";

const page = document.querySelector("[data-message-page]");

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(page.dataset.copied);
  } catch {
    toast(`${page.dataset.notCopied} ${text}`, { seconds: 60 });
  }
}

/** Put picture and link on the clipboard as HTML, and the bare link as text for programs that take only that. */
async function copySnippet(url, link) {
  try {
    const html = fetch(url, { headers: { Accept: "text/html" } }).then((answer) => {
      if (!answer.ok) throw new Error("no snippet");
      return answer.text();
    });
    // Safari wants the item made in the same turn as the click, with promises inside.
    const item = new ClipboardItem({
      "text/html": html.then((text) => new Blob([text], { type: "text/html" })),
      "text/plain": new Blob([link], { type: "text/plain" }),
    });
    await navigator.clipboard.write([item]);
    toast(page.dataset.copied);
  } catch {
    await copyText(link);
  }
}

// New rows come while somebody corrects an address: htmx keeps that form (hx-preserve), but not everywhere the focus in it.
let typing = null;
page.addEventListener("htmx:beforeSwap", () => {
  typing = document.activeElement?.closest("[hx-preserve]") ? document.activeElement : null;
});
page.addEventListener("htmx:afterSwap", () => {
  if (typing?.isConnected && document.activeElement !== typing) typing.focus({ preventScroll: true });
});

page.addEventListener("click", (event) => {
  const snippet = event.target.closest("[data-copy-snippet]");
  const text = event.target.closest("[data-copy-text]");
  if (snippet) copySnippet(snippet.dataset.copySnippet, snippet.dataset.copyLink);
  if (text) copyText(text.dataset.copyText);
});

document.addEventListener("undo:end", () => location.reload());

// ---- The rows, which htmx asks for again and again ------------------------------------------------------------------------
const stale = page.querySelector("[data-stale]");
let isOver = false;

function tellStale(words, { canSignIn = false, forGood = false } = {}) {
  stale.querySelector("[data-stale-words]").textContent = words;
  stale.querySelector("[data-stale-way]").hidden = !canSignIn;
  stale.hidden = false;
  isOver = forGood;
}

// A page that nobody looks at does not ask.
page.addEventListener("htmx:beforeRequest", (event) => (isOver || document.hidden) && event.preventDefault());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) page.querySelector("[data-rows]")?.dispatchEvent(new CustomEvent("rows:again"));
});
page.addEventListener("htmx:afterRequest", (event) => {
  const code = event.detail.xhr.status;
  if (event.detail.successful) stale.hidden = true;
  else if (code === 401) tellStale(stale.dataset.signedOut, { canSignIn: true, forGood: true });
  else if (code === 404) tellStale(stale.dataset.gone, { forGood: true });
  else tellStale(stale.dataset.offline);
});
page.addEventListener("htmx:afterSwap", () => {
  if (page.querySelector("[data-rows-over]")) document.querySelector("[data-undo-region]")?.remove();
});
