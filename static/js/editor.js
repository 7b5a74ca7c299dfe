// The text editor: ProseMirror (from the installed package) over a textarea, with our own small toolbar.
// The textarea stays the form's field; without scripts it is simply typed into.

function update(bar, editor) {
  for (const button of bar.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", String(editor.isActive(button.dataset.mark)));
  }
}

function toggle(editor, mark) {
  const chain = editor.chain().focus();
  if (mark === "bold") chain.toggleBold().run();
  if (mark === "italic") chain.toggleItalic().run();
  if (mark === "bulletList") chain.toggleBulletList().run();
}

function linkRow(box, editor) {
  const row = box.querySelector("[data-editor-link]");
  const input = row.querySelector("[data-link-input]");
  const close = () => {
    row.hidden = true;
    editor.commands.focus();
  };
  const set = () => {
    const href = input.value.trim();
    if (/^(https?:\/\/|mailto:)/i.test(href)) editor.chain().focus().extendMarkRange("link").setMark("link", { href }).run();
    else if (href) return input.setCustomValidity(box.dataset.editorAsk), input.reportValidity();
    return close();
  };
  input.addEventListener("input", () => input.setCustomValidity(""));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(), set();
    if (event.key === "Escape") close();
  });
  row.querySelector("[data-link-set]").addEventListener("click", set);
  row.querySelector("[data-link-unset]").addEventListener("click", () => {
    editor.chain().focus().extendMarkRange("link").unsetMark("link").run();
    close();
  });
  return () => {
    row.hidden = false;
    input.value = editor.getAttributes("link").href ?? "";
    input.focus();
  };
}

async function start(box) {
  const source = box.querySelector("[data-editor-source]");
  const tools = await import(box.dataset.editorModule);
  const mount = document.createElement("div");
  source.after(mount);
  const editor = new tools.Editor({
    element: mount,
    injectCSS: false, // the content policy forbids styles made by scripts; compose.css has what is needed
    content: source.value,
    extensions: [
      tools.Document, tools.Paragraph, tools.Text, tools.HardBreak, tools.History, tools.Bold, tools.Italic,
      tools.BulletList, tools.OrderedList, tools.ListItem, tools.Blockquote,
      tools.Link.configure({ openOnClick: false, autolink: true }),
    ],
    editorProps: {
      attributes: { class: "editor__text", role: "textbox", "aria-multiline": "true", "aria-label": source.getAttribute("aria-label") },
    },
    onUpdate: () => {
      source.value = editor.getHTML();
      source.dispatchEvent(new Event("input", { bubbles: true }));
    },
    onSelectionUpdate: () => update(bar, editor),
    onTransaction: () => update(bar, editor),
  });
  const bar = box.querySelector(".editor__bar");
  const openLink = linkRow(box, editor);
  bar.hidden = false;
  bar.addEventListener("click", (event) => {
    const mark = event.target.closest("[data-mark]")?.dataset.mark;
    if (mark === "link") openLink();
    else if (mark) toggle(editor, mark);
  });
  source.hidden = true;
  source.value = editor.getHTML();
  box.dataset.editorReady = "";
}

for (const box of document.querySelectorAll("[data-editor]")) {
  start(box).catch(() => {}); // the textarea stays: one can still write
}
