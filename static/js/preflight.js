// Advice near Send: asked when the page opens, and after a save that changed who is named. Advice only: without an answer nothing
// is shown, and Send asks the server itself.
const panel = document.querySelector("[data-preflight-url]");
const form = panel.closest("form");
let isOld = true; // the people changed since the panel was asked for
let asked = 0;
let shown = "";

async function ask() {
  isOld = false;
  const mine = ++asked;
  const answer = await fetch(panel.dataset.preflightUrl, { headers: { Accept: "text/html" } }).catch(() => null);
  const html = answer?.status === 200 && !answer.redirected ? (await answer.text()).trim() : "";
  if (mine !== asked) return; // a newer question is under way
  if (!answer || answer.status >= 500) isOld = true; // asked again with the next save
  if (html === shown) return; // nothing new to say aloud
  shown = html;
  const open = panel.querySelector("details")?.open;
  panel.innerHTML = html;
  if (open) panel.querySelector("details")?.setAttribute("open", "");
}

form.addEventListener("chips:change", () => (isOld = true));
form.addEventListener("draft:saved", () => isOld && ask());
ask();
