// Recipients as chips: one component for To and Bcc. What is typed or pasted is read by the server, so there is one truth about
// names, addresses and typing mistakes. Fires "chips:change" on its box.
import { postJson } from "./http.js";

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");

export class Chips {
  /** box: [data-combo]; rows: chips as the server gave them; words: texts; isTaken(key): whether another field has it. */
  constructor(box, { rows, limit, words, parseUrl, searchUrl, isTaken }) {
    Object.assign(this, { box, limit, words, parseUrl, searchUrl, isTaken, rows: [], options: [], active: -1 });
    const part = (name) => box.querySelector(`[data-combo-${name}]`);
    this.input = part("input");
    this.list = part("list");
    this.listBox = part("box");
    this.chips = part("chips");
    const outside = box.parentElement;
    this.count = outside.querySelector("[data-combo-count]");
    this.say = outside.querySelector("[data-combo-words]");
    this.mends = outside.querySelector("[data-combo-mends]");
    this.say.setAttribute("role", "status");
    this.hint = this.say.textContent;
    this.name = this.input.name;
    this.input.value = "";
    this.rows = rows.map((row) => ({ ...row }));
    this.listen();
    this.draw();
  }

  listen() {
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("paste", (event) => {
      const text = event.clipboardData?.getData("text") ?? "";
      if (!/[,;\n@<]/.test(text)) return;
      event.preventDefault();
      this.add(this.input.value + text);
    });
    this.input.addEventListener("blur", () => {
      setTimeout(() => {
        if (!this.box.contains(document.activeElement)) this.finish();
      }, 120);
    });
    this.box.addEventListener("click", (event) => {
      const remove = event.target.closest("[data-remove]");
      const option = event.target.closest("[data-option]");
      if (remove) this.remove(Number(remove.dataset.remove));
      else if (option) this.choose(Number(option.dataset.option));
      else if (event.target === this.box || event.target === this.chips) this.input.focus();
    });
    this.listBox.addEventListener("pointerdown", (event) => event.preventDefault()); // keep the focus in the field
  }

  key(event) {
    const open = !this.listBox.hidden;
    if (event.key === "ArrowDown" && open) return event.preventDefault(), this.move(1);
    if (event.key === "ArrowUp" && open) return event.preventDefault(), this.move(-1);
    if (event.key === "Escape" && open) return event.preventDefault(), this.close();
    if (event.key === "Backspace" && !this.input.value && this.rows.length) return this.remove(this.rows.length - 1);
    if (event.key === "Enter" || event.key === "," || event.key === ";" || (event.key === "Tab" && this.input.value.trim())) {
      if (!this.input.value.trim()) return event.key === "Enter" && event.preventDefault();
      event.preventDefault();
      if (open && this.active >= 0) return this.choose(this.active);
      this.add(this.input.value);
    }
  }

  typed() {
    clearTimeout(this.timer);
    this.close(); // what was suggested for other letters must not be taken for these
    const text = this.input.value.trim();
    if (text.length < 2) return;
    this.timer = setTimeout(() => this.search(text).catch(() => this.close()), 160);
  }

  async search(text) {
    const answer = await fetch(`${this.searchUrl}?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
    if (!answer.ok || this.input.value.trim() !== text) return this.close();
    const { results } = await answer.json();
    this.options = results.filter((row) => !this.isTaken(row.address.toLowerCase()));
    // Somebody who types an address means that address; a name is completed by the first suggestion.
    this.active = this.options.length && !text.includes("@") ? 0 : -1;
    this.drawOptions();
  }

  drawOptions() {
    this.list.replaceChildren(
      ...this.options.map((row, index) => {
        const item = document.createElement("li");
        item.className = "option";
        item.id = `${this.input.id}-option-${index}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", String(index === this.active));
        item.dataset.option = String(index);
        const who = document.createElement("span");
        who.className = "grow";
        for (const [kind, text] of [["option__name", row.name || row.address], ["option__mail", row.address]]) {
          const line = document.createElement("span");
          line.className = `${kind} blk cut`;
          line.append(Object.assign(document.createElement("bdi"), { textContent: text }));
          who.append(line);
        }
        const why = Object.assign(document.createElement("span"), { className: "option__why", textContent: row.why });
        item.append(who, why);
        return item;
      }),
    );
    this.listBox.hidden = !this.options.length;
    this.input.setAttribute("aria-expanded", String(!!this.options.length));
    if (this.active >= 0) this.input.setAttribute("aria-activedescendant", `${this.input.id}-option-${this.active}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  move(step) {
    this.active = (this.active + step + this.options.length) % this.options.length;
    this.drawOptions();
    this.list.children[this.active].scrollIntoView({ block: "nearest" });
  }

  close() {
    this.options = [];
    this.active = -1;
    this.drawOptions();
  }

  choose(index) {
    const row = this.options[index];
    this.input.value = "";
    this.close();
    this.take([{ name: row.name, address: row.address, problem: "", suggestion: "", key: row.address.toLowerCase() }]);
    this.input.focus();
  }

  /** Let the server read a text; what cannot be read now comes back into the field, before what was typed meanwhile. */
  async add(text) {
    if (!text.trim()) return;
    this.input.value = "";
    this.close();
    const reading = postJson(this.parseUrl, { text })
      .then(({ ok, body }) => (ok ? this.take(body.recipients) : Promise.reject(new Error("not read"))))
      .catch(() => {
        this.input.value = [text.trim(), this.input.value.trim()].filter(Boolean).join(", ");
        this.close();
        this.say.textContent = this.words.failed;
      });
    this.pending = Promise.all([this.pending, reading]);
    await this.pending;
  }

  /** Take what is typed but not ended yet; resolves when the server has read it. */
  async finish() {
    this.close();
    if (this.input.value.trim()) await this.add(this.input.value);
    await this.pending;
  }

  take(found) {
    const said = [];
    const added = [];
    for (const row of found) {
      if (this.isTaken(row.key)) said.push(fill(this.words.duplicate, { address: row.address }));
      else if (this.rows.length >= this.limit) {
        said.push(fill(this.words.full, { limit: this.limit, address: row.address }));
      } else {
        this.rows.push(row);
        added.push(fill(this.words.added, { name: row.name || row.address }));
      }
    }
    this.draw(said.length ? said : added);
    this.box.dispatchEvent(new CustomEvent("chips:change", { bubbles: true }));
  }

  remove(index) {
    const [row] = this.rows.splice(index, 1);
    this.draw([fill(this.words.removed, { name: row.name || row.address })]);
    this.input.focus();
    this.box.dispatchEvent(new CustomEvent("chips:change", { bubbles: true }));
  }

  replace(index, address) {
    const row = this.rows[index];
    const key = address.toLowerCase();
    if (key !== row.key && this.isTaken(key)) {
      this.rows.splice(index, 1);
      this.draw([fill(this.words.duplicate, { address })]);
      this.box.dispatchEvent(new CustomEvent("chips:change", { bubbles: true }));
      return;
    }
    this.rows[index] = { ...row, address, key: address.toLowerCase(), suggestion: "", problem: "" };
    this.draw();
    this.box.dispatchEvent(new CustomEvent("chips:change", { bubbles: true }));
  }

  has(key) {
    return this.rows.some((row) => row.key === key);
  }

  draw(said = []) {
    this.chips.replaceChildren(...this.rows.map((row, index) => this.chip(row, index)));
    this.count.textContent = fill(this.words.count, { n: this.rows.length, limit: this.limit });
    this.say.textContent = said.length ? said.join(" ") : this.hint;
    this.mends.replaceChildren(...this.rows.flatMap((row, index) => this.mend(row, index)));
  }

  chip(row, index) {
    const item = document.createElement("li");
    item.className = `chip${row.problem ? " chip--bad" : row.suggestion ? " chip--warn" : ""}`;
    const text = row.name || row.address;
    item.title = row.problem || row.address;
    const cut = document.createElement("span");
    cut.className = "cut";
    cut.append(Object.assign(document.createElement("bdi"), { textContent: text }));
    const remove = document.createElement("button");
    remove.className = "chip__x";
    remove.type = "button";
    remove.dataset.remove = String(index);
    remove.setAttribute("aria-label", fill(this.words.remove, { name: text }));
    remove.append(this.cross());
    item.append(cut);
    if (row.problem) item.append(Object.assign(document.createElement("span"), { className: "vh", textContent: `, ${row.problem}` }));
    item.append(remove);
    return item;
  }

  cross() {
    const sprite = document.querySelector(".icon use")?.getAttribute("href").split("#")[0] ?? "";
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${sprite}#i-x`);
    svg.append(use);
    return svg;
  }

  mend(row, index) {
    if (!row.problem && !row.suggestion) return [];
    const line = document.createElement("p");
    line.className = `mend${row.problem ? " mend--bad" : ""}`;
    if (row.problem) {
      line.textContent = row.problem;
      return [line];
    }
    const button = (text, act) => {
      const element = Object.assign(document.createElement("button"), { type: "button", className: "btn btn--sm", textContent: text });
      element.addEventListener("click", act);
      return element;
    };
    line.append(
      Object.assign(document.createElement("span"), { textContent: fill(this.words.suggest, { address: row.suggestion }) }),
      button(this.words.mend, () => this.replace(index, row.suggestion)),
      button(this.words.keep, () => this.replace(index, row.address)),
    );
    return [line];
  }
}
