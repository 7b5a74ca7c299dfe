// Toasts: short answers to what the person just did. The region is in base.html and is a live region from the start,
// so a screen reader says what is added. A toast stays 20 seconds, longer while pointed at or focused.
const SECONDS = 20;
const region = document.querySelector("[data-toasts]");

function dismissLater(element, seconds = SECONDS) {
  let timer = null;
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(() => element.remove(), seconds * 1000);
  };
  const stop = () => clearTimeout(timer);
  element.addEventListener("pointerenter", stop);
  element.addEventListener("pointerleave", start);
  element.addEventListener("focusin", stop);
  element.addEventListener("focusout", start);
  element.addEventListener("click", (event) => {
    if (event.target.closest("[data-toast-close]")) element.remove();
  });
  start();
}

/**
 * Show `text` (already in the reader's language) for `seconds`.
 * With `action` ({label, run}) the toast has one button that calls `run` and closes it.
 * Returns the element, so that the caller can remove it earlier; null on a page without a region.
 */
export function toast(text, { action = null, seconds = SECONDS } = {}) {
  if (!region) return null;
  const element = document.createElement("div");
  element.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  element.append(words);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn--sm";
    button.textContent = action.label;
    button.addEventListener("click", () => {
      element.remove();
      action.run();
    });
    element.append(button);
  }
  region.append(element);
  dismissLater(element, seconds);
  return element;
}

for (const element of region?.querySelectorAll(".toast") ?? []) dismissLater(element);
