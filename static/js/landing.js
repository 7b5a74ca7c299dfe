// What the landing page reports: that it was opened, whether a person touched it, and which seconds were really played.
// No cookie, no storage, nobody else is told. Every report is cumulative, so one that is lost or doubled changes nothing.
// The server decides what counts (messaging/services/visits.py).

const hero = document.querySelector("[data-landing]");
const video = hero?.querySelector("video");

if (hero && video) {
  const beacon = `${location.pathname}/beacon`;
  const BEAT = 5000;
  const FIRST = 3; // seconds played after which the sender may know at once
  const cells = new Set();
  let sequence = 0;
  let trusted = false;
  let touched = false;
  let seen = false;
  let started = false;
  let dirty = false;
  let told = false;
  let last = null;

  const activation = () => (navigator.userActivation ? navigator.userActivation.hasBeenActive : null);

  const ranges = () => {
    const sorted = [...cells].sort((a, b) => a - b);
    const found = [];
    for (const cell of sorted) {
      const open = found.at(-1);
      if (open && open[1] === cell) open[1] = cell + 1;
      else found.push([cell, cell + 1]);
    }
    return found;
  };

  const report = (leaving = false) => {
    dirty = false;
    sequence += 1;
    const body = JSON.stringify({
      visit: hero.dataset.visit,
      sequence,
      trusted,
      user_activation: activation(),
      visible: seen, // while the gesture was made or the video ran
      started,
      ranges: ranges(),
    });
    if (leaving && navigator.sendBeacon?.(beacon, new Blob([body], { type: "application/json" }))) return;
    fetch(beacon, {
      method: "POST",
      body,
      headers: { "Content-Type": "application/json" },
      keepalive: true,
      credentials: "same-origin", // the sender's own visit must be known as such; visitors have no cookie
    })
      .then((answer) => {
        // Too many at once, or the server is in trouble: the next beat says it all again. Another refusal is for good.
        if (answer.status === 429 || answer.status >= 500) dirty = true;
      })
      .catch(() => {
        dirty = true;
      });
  };

  const gesture = (event) => {
    if (trusted || !event.isTrusted || document.visibilityState !== "visible" || activation() === false) return;
    trusted = true;
    seen = true;
    report();
  };
  for (const kind of ["pointerover", "pointermove", "pointerdown", "touchstart", "keydown"]) {
    const touch = (event) => {
      touched ||= event.isTrusted;
    };
    document.addEventListener(kind, touch, { capture: true, passive: true });
  }
  for (const kind of ["pointerup", "keyup", "click", "touchend"]) {
    document.addEventListener(kind, gesture, { capture: true, passive: true });
  }

  // A play event by itself is no gesture, although browsers call it trusted: scripts start players too, and the tools of
  // scanners lend their scripts an activation. But Chromium keeps presses of its own controls to itself, so a play counts as
  // one when the browser saw an activation and a real pointer or key has been on the page.
  video.addEventListener("playing", (event) => {
    started = true;
    if (touched && activation() !== false) gesture(event);
    last = video.currentTime;
    dirty = true;
  });
  video.addEventListener("seeking", () => {
    last = null;
  });
  video.addEventListener("timeupdate", () => {
    const now = video.currentTime;
    if (last !== null && !video.seeking && !video.paused && document.visibilityState === "visible") {
      // A step of a running player is small; anything else is a jump and adds nothing.
      if (now > last && now - last < 1.5 * Math.max(1, video.playbackRate)) {
        // A cell counts when its middle was passed.
        for (let cell = Math.floor(last); cell <= Math.floor(now); cell += 1) {
          if (last <= cell + 0.5 && cell + 0.5 < now && !cells.has(cell)) {
            cells.add(cell);
            dirty = true;
          }
        }
      }
    }
    last = now;
    if (!told && cells.size >= Math.min(FIRST, Math.max(1, Math.floor(Math.ceil(video.duration) / 2)))) {
      told = true;
      report();
    }
  });
  for (const kind of ["pause", "ended"]) {
    video.addEventListener(kind, () => {
      if (dirty) report();
    });
  }
  setInterval(() => {
    if (dirty) report();
  }, BEAT);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden" && dirty) report(true);
  });
  window.addEventListener("pagehide", () => {
    if (dirty) report(true);
  });

  report();
}
