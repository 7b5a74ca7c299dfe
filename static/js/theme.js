// The chosen theme, set before the first paint: this is the one script that blocks, and it stays tiny.
// "light" and "dark" override the system; anything else follows it. Django's admin keeps its choice under the same name.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be switched off; the system's theme is right then.
  }
})();
