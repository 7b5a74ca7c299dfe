// The page of a sent message: copies picture and link for Outlook, and ends the undo bar.
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
