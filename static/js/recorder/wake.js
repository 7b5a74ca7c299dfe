// The screen stays awake while somebody records. The browser lets go of the lock when the tab is hidden; it is taken again after.

let isWanted = false;
let lock = null;

async function ask() {
  const got = await navigator.wakeLock?.request("screen").catch(() => null); // refused on low battery: no reason not to record
  if (isWanted) lock = got ?? null;
  else got?.release();
}

export function keepAwake() {
  isWanted = true;
  ask();
}

export function letSleep() {
  isWanted = false;
  lock?.release();
  lock = null;
}

document.addEventListener("visibilitychange", () => {
  if (isWanted && document.visibilityState === "visible" && (!lock || lock.released)) ask();
});
