// The undo bar (components/undo.html): counts down, then tells the page with the event "undo:end".
// The seconds are hidden from screen readers, which hear the sentence of the live region once.
const CIRCLE = 82; // circumference of the ring, r = 13

function run(bar) {
  const words = bar.querySelector("[data-undo-text]");
  const ring = bar.querySelector("[data-undo-ring]");
  const total = Number(bar.dataset.undoTotal);
  const end = performance.now() + Number(bar.dataset.undoLeft) * 1000;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  const tick = () => {
    const left = Math.max(0, (end - performance.now()) / 1000);
    words.textContent = bar.dataset.undoTemplate.replace("{n}", String(Math.ceil(left)));
    if (!still) ring.setAttribute("stroke-dasharray", `${((left / total) * CIRCLE).toFixed(1)} ${CIRCLE}`);
    if (left > 0) return;
    clearInterval(timer);
    bar.querySelector("button")?.setAttribute("disabled", "");
    bar.dispatchEvent(new CustomEvent("undo:end", { bubbles: true }));
  };
  const timer = setInterval(tick, 250);
  tick();
}

for (const bar of document.querySelectorAll("[data-undo]")) run(bar);
