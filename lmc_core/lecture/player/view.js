// What is seen of a lecture: its elements, words and numbers, sizes and colours, and its tools.

const NARROW = 760; // pixels; a phone
const KEYS = [
  ["→, space, Page down", "next: the answer, the counterexample, the next question"],
  ["←, shift + space, Page up", "back"],
  ["Home, End", "first and last slide"],
  ["f", "full screen"],
  ["p", "presenter's window: notes, next slide, clock"],
  ["n", "notes below the slide"],
  ["b or .", "black screen"],
  ["?", "these keys"],
  ["Tab, Enter", "reach a control, use it"],
  ["↑, ↓", "move a slider that was reached with Tab"],
];

class View {
  get step() {
    return this.deck.steps[this.at];
  }
  get picture() {
    return PICTURES[this.step.key];
  }
  title() {
    return `${this.at + 1} of ${this.deck.steps.length}  ·  ${this.step.name}`;
  }
  palette(theme) {
    return this.deck.palettes[theme || this.theme()];
  }

  theme() {
    const style = getComputedStyle(this.root);
    const ground = style.getPropertyValue("--st-background-color").trim(); // of the app
    if (/^#[0-9a-f]{6}$/i.test(ground)) return inkOn(ground) === "#ffffff" ? "dark" : "light";
    return (
      this.options.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")
    );
  }

  // ---- elements

  build() {
    const part = (tag, name, more = {}, ...children) =>
      (this[name] = make(tag, { class: name, ...more }, ...children));
    const button = (words, act, more = {}) =>
      make("button", { type: "button", onclick: act, ...more }, words);
    this.numbers = this.deck.steps.map((step, k) =>
      button(String(k + 1), () => this.go(k, 0), {
        title: step.name,
        "aria-label": `Slide ${k + 1}: ${step.name}`,
      }),
    );
    this.backward = button("Back", () => this.back(), { class: "turn" });
    this.forward = button("", () => this.next(), { class: "turn primary" });
    const tools = [
      button("Numbers", () => this.showTable()),
      (this.noted = button("Notes", () => this.note())),
      button("Presenter", () => this.presenter.show(), { class: "wide" }),
      button("Full screen", () => this.fill(), { class: "wide" }),
      button("Keys", () => this.keys.showModal(), { class: "wide" }),
    ];
    if (this.options.alone)
      tools.push(button("Light or dark", () => this.turnTheme(), { class: "theme" }));
    else
      tools.push(
        button("Save as a file", () => this.options.save(), {
          title: "The whole lecture as one HTML file, which opens without a network.",
        }),
      );
    part(
      "dialog",
      "keys",
      { "aria-label": "Keys" },
      make("h2", {}, "Keys"),
      make(
        "table",
        {},
        ...KEYS.map(([key, words]) =>
          make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, words)),
        ),
      ),
      button("Close", () => this.keys.close()),
    );
    part("dialog", "table", { "aria-label": "Numbers" });
    part(
      "section",
      "lecture",
      { tabindex: "-1" },
      make(
        "header",
        {},
        part("p", "name"),
        part("h1", "question"),
        part("p", "answer", { "aria-live": "polite" }),
      ),
      part("div", "stage", {}, part("div", "side"), part("figure", "figure")),
      part("p", "notes", { hidden: true }),
      make(
        "nav",
        { "aria-label": "Slides" },
        this.backward,
        make("div", { class: "numbers" }, ...this.numbers),
        make("div", { class: "tools" }, ...tools),
        this.forward,
      ),
      this.keys,
      this.table,
      part("div", "black", { hidden: true }),
    );
    this.figure.innerHTML = '<svg role="img"></svg>';
    this.svg = this.figure.firstChild;
    this.lecture.classList.toggle("within", !this.options.alone);
    this.root.replaceChildren(make("style", {}, this.deck.style), this.lecture);
  }

  // ---- showing

  /** The words of the place, and what the buttons do. */
  words() {
    const { step, place } = this,
      [at, then] = this.after();
    this.name.textContent = this.title();
    this.question.textContent = step.question;
    this.answer.textContent = place ? step.acts[place - 1].words : "";
    this.notes.textContent = step.notes;
    this.notes.hidden = !this.lecture.classList.contains("noted");
    this.noted.setAttribute("aria-pressed", !this.notes.hidden);
    const ends = at === this.at && then === place;
    this.forward.textContent = ends
      ? "The end"
      : at !== this.at
        ? `Next: ${this.deck.steps[at].name}`
        : step.acts[then - 1].name;
    this.forward.disabled = ends;
    this.backward.disabled = !this.at && !place;
    this.numbers.forEach((each, k) =>
      k === this.at
        ? each.setAttribute("aria-current", "step")
        : each.removeAttribute("aria-current"),
    );
    this.presenter.follow();
  }

  /** Show values on the controls, and the numbers of that setting. */
  tell(values) {
    this.controls.set(values);
    const key = this.step.controls.map((control) => values[control.name]).join("|");
    this.facts.forEach((each, k) => {
      each.textContent = this.place ? this.step.values[key][k] : "?";
    });
  }

  /** Sizes and colours, after the window or the theme has changed. */
  layout() {
    const colours = this.palette(),
      { style } = this.lecture,
      full = this.lecture.matches(":fullscreen");
    for (const name of ["paper", "ink", "muted", "grid", "orthogonal"])
      style.setProperty(`--${name}`, colours[name]);
    style.setProperty("--on", inkOn(colours.orthogonal));
    this.lecture.style.colorScheme = this.theme();
    if (this.options.alone) document.documentElement.style.background = colours.paper;
    const width = this.lecture.clientWidth,
      height = full ? innerHeight : this.room();
    this.narrow = width < NARROW;
    this.s = this.narrow
      ? 0.84
      : clamp(Math.min(height / (this.options.alone || full ? 800 : 720), width / 1200), 0.8, 2.4);
    style.setProperty("--s", this.s);
    style.height = this.narrow ? "" : `${Math.max(height, 480)}px`;
    // the space that the page keeps below its content is used as well
    this.root.style.height =
      this.narrow || !this.below ? "" : `${Math.max(height, 480) - this.below}px`;
    this.lecture.classList.toggle("narrow", this.narrow);
    this.write();
    this.draw();
  }

  /** Pixels that the window leaves below the top of the lecture. */
  room() {
    if (this.options.alone) return innerHeight;
    const host = this.root.getRootNode().host || this.root,
      main = host.closest("[data-testid=stMain]");
    if (!main) return innerHeight - host.getBoundingClientRect().top - 16;
    const block = main.querySelector("[data-testid=stMainBlockContainer]");
    this.below = Math.max((block ? parseFloat(getComputedStyle(block).paddingBottom) : 16) - 12, 0);
    return Math.floor(
      main.getBoundingClientRect().bottom - host.getBoundingClientRect().top - main.scrollTop - 12,
    );
  }

  draw() {
    const width = this.figure.clientWidth;
    const height = this.narrow ? this.picture.tall(width) : this.figure.clientHeight;
    if (width < 50 || height < 50) return;
    const pen = new Pen(width, height, this.s, this.narrow, this.palette());
    this.picture.paint(pen, this.scene, this.step, {
      revealed: this.place > 0,
      place: this.place,
      id: this.id,
    });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.svg.innerHTML = pen.svg();
  }

  // ---- tools

  fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.lecture.requestFullscreen)
      this.lecture.requestFullscreen().then(
        () => this.layout(),
        () => {},
      );
  }

  note() {
    this.lecture.classList.toggle("noted");
    this.words();
    this.layout();
  }

  turnTheme() {
    this.options.theme = this.theme() === "dark" ? "light" : "dark";
    this.layout();
  }

  showTable() {
    const { header, rows, csv } = this.step.table;
    const row = (tag, cells) =>
      make("tr", {}, ...cells.map((each) => make(tag, tag === "th" ? { scope: "col" } : {}, each)));
    const file = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    this.table.replaceChildren(
      make("h2", {}, this.step.name),
      make(
        "div",
        { class: "scroll", tabindex: "0" },
        make(
          "table",
          {},
          make("thead", {}, row("th", header)),
          make("tbody", {}, ...rows.map((each) => row("td", each))),
        ),
      ),
      make("a", { href: file, download: `lecture-${this.step.key}.csv` }, "CSV"),
      make("button", { type: "button", onclick: () => this.table.close() }, "Close"),
    );
    this.table.onclose = () => URL.revokeObjectURL(file);
    this.table.showModal();
  }
}
