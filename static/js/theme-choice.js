// The radio buttons "System, Light, Dark" (components/theme.html): kept in this browser, applied at once.
const KEY = "pitch-theme";

function read() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system";
  }
}

function apply(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

for (const input of document.querySelectorAll("[data-theme-choice] input")) {
  input.checked = input.value === read();
  input.addEventListener("change", () => {
    apply(input.value);
    try {
      if (input.value === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, input.value);
    } catch {
      // Storage is off: the choice holds for this page only.
    }
  });
}
