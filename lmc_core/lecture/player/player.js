// The player: shows a deck, turns its slides, performs what each press of next is about.

const NARROW = 760; // pixels; a phone
const KEYS = [
  ["→  space  Page down", "next: the answer, the counterexample, the next question"],
  ["←  shift + space  Page up", "back"],
  ["Home, End", "first and last slide"],
  ["f", "full screen"], ["p", "presenter's window: notes, next slide, clock"],
  ["n", "notes below the slide"], ["b  .", "black screen"], ["?", "these keys"],
  ["Tab, Enter", "reach a control, use it"], ["↑  ↓", "move a slider that was reached with Tab"],
];

class Lecture {
  constructor(root, deck, options) {
    Object.assign(this, { root, deck, options, at: 0, place: 0, values: {}, run: 0 });
    this.id = Math.random().toString(36).slice(2, 8);
    this.presenter = new Presenter(this);
    this.build();
    this.listen();
    this.open();
  }

  get step() { return this.deck.steps[this.at]; }
  get picture() { return PICTURES[this.step.key]; }
  title() { return `${this.at + 1} of ${this.deck.steps.length}  ·  ${this.step.name}`; }
  palette(theme) { return this.deck.palettes[theme || this.theme()]; }

  theme() {
    const ground = getComputedStyle(this.root).getPropertyValue("--st-background-color").trim(); // of the app
    if (/^#[0-9a-f]{6}$/i.test(ground)) return inkOn(ground) === "#ffffff" ? "dark" : "light";
    return this.options.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }

  // ---- elements

  build() {
    const part = (tag, name, more = {}, ...children) => (this[name] = make(tag, { class: name, ...more }, ...children));
    const button = (words, act, more = {}) => make("button", { type: "button", onclick: act, ...more }, words);
    this.numbers = this.deck.steps.map((step, k) => button(String(k + 1), () => this.go(k, 0), { title: step.name, "aria-label": `Slide ${k + 1}: ${step.name}` }));
    this.backward = button("Back", () => this.back(), { class: "turn" });
    this.forward = button("", () => this.next(), { class: "turn primary" });
    const tools = [
      button("Numbers", () => this.showTable()), (this.noted = button("Notes", () => this.note())),
      button("Presenter", () => this.presenter.show(), { class: "wide" }), button("Full screen", () => this.fill(), { class: "wide" }),
      button("Keys", () => this.keys.showModal(), { class: "wide" }),
    ];
    if (this.options.alone) tools.push(button("Light or dark", () => this.turnTheme(), { class: "theme" }));
    else tools.push(button("Save as a file", () => this.options.save(), { title: "The whole lecture as one HTML file, which opens without a network." }));
    part("dialog", "keys", { "aria-label": "Keys" }, make("h2", {}, "Keys"),
      make("table", {}, ...KEYS.map(([key, words]) => make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, words)))),
      button("Close", () => this.keys.close()));
    part("dialog", "table", { "aria-label": "Numbers" });
    part("section", "lecture", { tabindex: "-1" },
      make("header", {}, part("p", "name"), part("h1", "question"), part("p", "answer", { "aria-live": "polite" })),
      part("div", "stage", {}, part("div", "side"), part("figure", "figure")),
      part("p", "notes", { hidden: true }),
      make("nav", { "aria-label": "Slides" }, this.backward, make("div", { class: "numbers" }, ...this.numbers), make("div", { class: "tools" }, ...tools), this.forward),
      this.keys, this.table, part("div", "black", { hidden: true }));
    this.figure.innerHTML = '<svg role="img"></svg>';
    this.svg = this.figure.firstChild;
    this.lecture.classList.toggle("within", !this.options.alone);
    this.root.replaceChildren(make("style", {}, this.deck.style), this.lecture);
  }

  listen() {
    const signal = (this.stop = new AbortController()).signal;
    document.addEventListener("keydown", (event) => this.pressed(event), { capture: true, signal });
    // a control that was touched gives the keys back; one that was reached with Tab keeps them
    this.lecture.addEventListener("pointerup", () => setTimeout(() => {
      const active = this.lecture.getRootNode().activeElement;
      if (active && active.matches("input, button")) active.blur();
    }, 0), { signal });
    addEventListener("resize", () => this.layout(), { signal });
    addEventListener("pagehide", () => this.presenter.leave(), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const wait of [0, 300, 1000]) setTimeout(() => signal.aborted || this.layout(), wait); // the app follows a little later
    }, { signal });
    if (this.options.alone) addEventListener("hashchange", () => this.open(), { signal });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.figure);
    let start = null;
    this.lecture.addEventListener("touchstart", (event) => {
      const free = !event.target.closest("input, select, dialog, table") && event.touches.length === 1;
      start = free ? event.touches[0] : null;
    }, { signal, passive: true });
    this.lecture.addEventListener("touchend", (event) => {
      if (!start) return;
      const dx = event.changedTouches[0].clientX - start.clientX, dy = event.changedTouches[0].clientY - start.clientY;
      if (Math.abs(dx) > 60 && Math.abs(dx) > 2 * Math.abs(dy)) (dx < 0 ? this.next() : this.back());
    }, { signal, passive: true });
  }

  end() {
    this.stop.abort();
    this.watch.disconnect();
    this.presenter.leave();
    this.run++;
  }

  // ---- the address

  open() {
    const asked = new URLSearchParams(this.options.alone ? location.hash.slice(1) : location.search);
    const wanted = asked.get("step") || "1";
    const at = /^\d{1,3}$/.test(wanted) ? clamp(Number(wanted), 1, this.deck.steps.length) - 1 : 0;
    const step = this.deck.steps[at], answer = asked.get("answer");
    const place = answer === "1" || answer === "2" ? Math.min(Number(answer), step.acts.length) : 0;
    const values = this.script(step, 0);
    for (const control of step.controls) {
      if (control.values.includes(asked.get(control.name))) values[control.name] = asked.get(control.name);
    }
    this.lecture.classList.toggle("noted", asked.get("notes") === "1");
    this.enter(at, place, values);
    this.layout();
    const names = this.scripted(step), begins = this.script(step, 0);
    // an answer with nothing done yet is performed, as on pressing next
    if (place && names.every((name) => values[name] === begins[name])) this.perform(place);
  }

  write() {
    const found = new URLSearchParams({ step: this.at + 1 });
    if (this.place) found.set("answer", this.place);
    if (this.lecture.classList.contains("noted")) found.set("notes", "1");
    for (const [name, value] of Object.entries(this.values)) found.set(name, value);
    const address = (this.options.alone ? "#" : "?") + found;
    if (address !== (this.options.alone ? location.hash : location.search)) history.replaceState(history.state, "", address);
  }

  // ---- turning slides

  /** Names of the controls that a step's acts set. */
  scripted(step) { return [...new Set(step.acts.flatMap((act) => act.beats.flatMap(Object.keys)))]; }

  /** What all controls are at a place of a step; those that no act sets stay as they are. */
  script(step, place, values) {
    const found = Object.fromEntries(step.controls.map((control) => [control.name, control.start]));
    const names = this.scripted(step);
    for (const name of Object.keys(values || {})) if (!names.includes(name)) found[name] = values[name];
    for (const act of step.acts.slice(0, place)) for (const beat of act.beats) Object.assign(found, beat);
    return found;
  }

  /** Step and place that follow; the same at the end. */
  after() {
    if (this.place < this.step.acts.length) return [this.at, this.place + 1];
    return this.at + 1 < this.deck.steps.length ? [this.at + 1, 0] : [this.at, this.place];
  }

  next() {
    const [at, place] = this.after();
    if (at === this.at && place !== this.place) this.perform(place);
    else if (at !== this.at) this.go(at, place);
  }

  back() {
    if (this.place) this.go(this.at, this.place - 1);
    else if (this.at) this.go(this.at - 1, this.deck.steps[this.at - 1].acts.length);
  }

  go(at, place) {
    const step = this.deck.steps[at], same = at === this.at;
    const values = this.script(step, place, same ? this.values : undefined);
    if (same) this.move([{ to: values, duration: 500 }], place);
    else this.enter(at, place, values);
  }

  /** Show another step, at once. */
  enter(at, place, values) {
    this.run++;
    Object.assign(this, { at, place, values });
    const { step } = this;
    this.controls = makeControls(step, (name, value) => this.choose(name, value));
    this.facts = step.facts.map(() => make("p", { class: "value" }));
    this.side.replaceChildren(this.controls.element, make("div", { class: "facts" },
      ...step.facts.map((label, k) => make("div", {}, make("p", { class: "label" }, label), this.facts[k]))));
    this.svg.setAttribute("aria-label", step.alt);
    this.words();
    this.tell(values);
    this.scene = this.picture.scene(step, values, place);
    this.layout();
  }

  /** A person sets a control. */
  choose(name, value) {
    const slides = this.step.controls.find((control) => control.name === name).kind === "slider";
    this.move([{ to: { ...this.values, [name]: value }, duration: slides ? 150 : 700, straight: slides }], this.place);
  }

  /** Do visibly what a place is about: from how it was before, beat by beat. */
  perform(place) {
    const before = this.script(this.step, place - 1, this.values), beats = [];
    const moved = this.scripted(this.step).some((name) => before[name] !== this.values[name]);
    if (moved) beats.push({ to: before, duration: 400 });
    const { beats: asked } = this.step.acts[place - 1];
    let values = before;
    for (const beat of asked.length ? asked : [{}]) {
      values = { ...values, ...beat };
      beats.push({ to: values, duration: asked.length > 3 ? 800 : 1100 });
    }
    this.move(beats, place);
  }

  /** Move through settings, one after the other; where motion is not wanted, at once. */
  async move(beats, place) {
    const run = ++this.run, { step, picture } = this;
    let from = this.values;
    this.values = beats[beats.length - 1].to;
    this.place = place;
    this.words();
    this.write();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const [k, beat] of beats.entries()) {
      const way = beat.straight ? [beat.to] : sweep(step, from, beat.to);
      const scenes = [this.scene, ...way.map((values) => picture.scene(step, values, place))];
      const duration = calm ? 0 : way.length > 2 && beat.duration > 500 ? 1800 : beat.duration;
      const done = await this.tween(run, duration, (share) => {
        const at = share * way.length, low = Math.min(Math.floor(at), way.length - 1);
        this.scene = share >= 1 ? scenes[way.length] : mix(scenes[low], scenes[low + 1], at - low);
        this.tell(way[share >= 1 ? way.length - 1 : Math.round(at) ? Math.round(at) - 1 : 0]);
        this.draw();
      });
      if (!done) return;
      from = beat.to;
      if (k + 1 < beats.length && !calm) await new Promise((resolve) => setTimeout(resolve, 150));
      if (run !== this.run) return;
    }
  }

  /** Call `show` with shares from 0 to 1; false if something else began meanwhile. */
  tween(run, duration, show) {
    this.lecture.dataset.moving = "1";
    return new Promise((resolve) => {
      const began = performance.now();
      const frame = (now) => {
        if (run !== this.run) { resolve(false); return; }
        const share = duration ? clamp((now - began) / duration, 0, 1) : 1;
        show(ease(share));
        if (share < 1) requestAnimationFrame(frame);
        else { delete this.lecture.dataset.moving; resolve(true); }
      };
      if (duration) requestAnimationFrame(frame);
      else frame(began);
    });
  }

  // ---- showing

  /** The words of the place, and what the buttons do. */
  words() {
    const { step, place } = this, [at, then] = this.after();
    this.name.textContent = this.title();
    this.question.textContent = step.question;
    this.answer.textContent = place ? step.acts[place - 1].words : "";
    this.notes.textContent = step.notes;
    this.notes.hidden = !this.lecture.classList.contains("noted");
    this.noted.setAttribute("aria-pressed", !this.notes.hidden);
    const ends = at === this.at && then === place;
    this.forward.textContent = ends ? "The end" : at !== this.at ? `Next: ${this.deck.steps[at].name}` : step.acts[then - 1].name;
    this.forward.disabled = ends;
    this.backward.disabled = !this.at && !place;
    this.numbers.forEach((each, k) => (k === this.at ? each.setAttribute("aria-current", "step") : each.removeAttribute("aria-current")));
    this.presenter.follow();
  }

  /** Show values on the controls, and the numbers of that setting. */
  tell(values) {
    this.controls.set(values);
    const key = this.step.controls.map((control) => values[control.name]).join("|");
    this.facts.forEach((each, k) => { each.textContent = this.place ? this.step.values[key][k] : "?"; });
  }

  /** Sizes and colours, after the window or the theme has changed. */
  layout() {
    const colours = this.palette(), { style } = this.lecture, full = this.lecture.matches(":fullscreen");
    for (const name of ["paper", "ink", "muted", "grid", "orthogonal"]) style.setProperty(`--${name}`, colours[name]);
    style.setProperty("--on", inkOn(colours.orthogonal));
    this.lecture.style.colorScheme = this.theme();
    if (this.options.alone) document.documentElement.style.background = colours.paper;
    const width = this.lecture.clientWidth, height = full ? innerHeight : this.room();
    this.narrow = width < NARROW;
    this.s = this.narrow ? 0.84 : clamp(Math.min(height / (this.options.alone || full ? 800 : 720), width / 1200), 0.8, 2.4);
    style.setProperty("--s", this.s);
    style.height = this.narrow ? "" : `${Math.max(height, 480)}px`;
    // the space that the page keeps below its content is used as well
    this.root.style.height = this.narrow || !this.below ? "" : `${Math.max(height, 480) - this.below}px`;
    this.lecture.classList.toggle("narrow", this.narrow);
    this.write();
    this.draw();
  }

  /** Pixels that the window leaves below the top of the lecture. */
  room() {
    if (this.options.alone) return innerHeight;
    const host = this.root.getRootNode().host || this.root, main = host.closest("[data-testid=stMain]");
    if (!main) return innerHeight - host.getBoundingClientRect().top - 16;
    const block = main.querySelector("[data-testid=stMainBlockContainer]");
    this.below = Math.max((block ? parseFloat(getComputedStyle(block).paddingBottom) : 16) - 12, 0);
    return Math.floor(main.getBoundingClientRect().bottom - host.getBoundingClientRect().top - main.scrollTop - 12);
  }

  draw() {
    const width = this.figure.clientWidth;
    const height = this.narrow ? this.picture.tall(width) : this.figure.clientHeight;
    if (width < 50 || height < 50) return;
    const pen = new Pen(width, height, this.s, this.narrow, this.palette());
    this.picture.paint(pen, this.scene, this.step, { revealed: this.place > 0, place: this.place, id: this.id });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.svg.innerHTML = pen.svg();
  }

  // ---- keys and tools

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.composedPath()[0], inside = this.lecture.contains(target);
    const typing = target.matches && target.matches("input, textarea, select, [contenteditable=true], [role=textbox]");
    if (typing && !inside) return;
    if (this.keys.open || this.table.open) return;
    const moves = inside && typing && target.matches("input[type=range], select");
    if (event.key === "Enter" && inside && target.matches("input[type=checkbox]")) { event.preventDefault(); target.click(); return; }
    const scrolls = document.documentElement.scrollHeight > innerHeight + 4 || this.narrow;
    const act = {
      ArrowRight: "next", PageDown: "next", " ": event.shiftKey ? "back" : "next", ArrowLeft: "back", PageUp: "back",
      ArrowDown: moves || scrolls ? null : "next", ArrowUp: moves || scrolls ? null : "back", Home: "first", End: "last",
      "?": "help", f: "fill", p: "present", n: "note", b: "darken", ".": "darken",
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) this[act]();
  }

  first() { this.go(0, 0); }
  last() { this.go(this.deck.steps.length - 1, 0); }
  help() { this.keys.showModal(); }
  present() { this.presenter.show(); }
  darken() { this.black.hidden = !this.black.hidden; }

  fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.lecture.requestFullscreen) this.lecture.requestFullscreen().then(() => this.layout(), () => {});
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
    const row = (tag, cells) => make("tr", {}, ...cells.map((each) => make(tag, tag === "th" ? { scope: "col" } : {}, each)));
    const file = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    this.table.replaceChildren(make("h2", {}, this.step.name),
      make("div", { class: "scroll", tabindex: "0" }, make("table", {}, make("thead", {}, row("th", header)), make("tbody", {}, ...rows.map((each) => row("td", each))))),
      make("a", { href: file, download: `lecture-${this.step.key}.csv` }, "CSV"),
      make("button", { type: "button", onclick: () => this.table.close() }, "Close"));
    this.table.onclose = () => URL.revokeObjectURL(file);
    this.table.showModal();
  }
}

/** Show a deck in an element; `alone` in a file of its own, otherwise in a page of the app. */
function startLecture(root, deck, options) { return new Lecture(root, deck, options); }
