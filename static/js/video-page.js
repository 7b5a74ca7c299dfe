// The page of a video that is not ready yet: asks how far it is, and shows it when it plays.
const box = document.querySelector("[data-video-page]");

async function ask() {
  const answer = await fetch(box.dataset.statusUrl, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const status = await answer.json();
  if (status.state !== box.dataset.state) location.reload();
}

if (box && box.dataset.state === "processing") {
  setInterval(() => ask().catch(() => {}), 1500); // a lost connection is tried again by the next tick
}
