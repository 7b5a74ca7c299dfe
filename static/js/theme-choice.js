// The radio buttons "System, Light, Dark" (components/theme.html): kept in this browser, applied at once.
const KEY = "theme";

function read() {
  try {
    return localStorage.getItem(KEY) ?? "auto";
  } catch {
    return "auto";
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
      localStorage.setItem(KEY, input.value);
    } catch {
      // Storage is off: the choice holds for this page only.
    }
  });
}
