// The player: turns the slides of a deck, performs what each press of next is about, and keeps the
// address. How it looks is in view.js.

class Lecture extends View {
  constructor(root, deck, options) {
    super();
    Object.assign(this, { root, deck, options, at: 0, place: 0, values: {}, run: 0 });
    this.id = Math.random().toString(36).slice(2, 8);
    this.presenter = new Presenter(this);
    this.build();
    this.listen();
    this.open();
  }

  listen() {
    const signal = (this.stop = new AbortController()).signal;
    document.addEventListener("keydown", (event) => this.pressed(event), { capture: true, signal });
    // a control that was touched gives the keys back; one that was reached with Tab keeps them
    this.lecture.addEventListener(
      "pointerup",
      () =>
        setTimeout(() => {
          const active = this.lecture.getRootNode().activeElement;
          if (active && active.matches("input, button")) active.blur();
        }, 0),
      { signal },
    );
    addEventListener("resize", () => this.layout(), { signal });
    addEventListener("pagehide", () => this.presenter.leave(), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener(
      "change",
      () => {
        const again = () => signal.aborted || this.layout();
        for (const wait of [0, 300, 1000]) setTimeout(again, wait); // the app follows later
      },
      { signal },
    );
    if (this.options.alone) addEventListener("hashchange", () => this.open(), { signal });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.figure);
    let start = null;
    this.lecture.addEventListener(
      "touchstart",
      (event) => {
        const free =
          !event.target.closest("input, select, dialog, table") && event.touches.length === 1;
        start = free ? event.touches[0] : null;
      },
      { signal, passive: true },
    );
    this.lecture.addEventListener(
      "touchend",
      (event) => {
        if (!start) return;
        const dx = event.changedTouches[0].clientX - start.clientX,
          dy = event.changedTouches[0].clientY - start.clientY;
        if (Math.abs(dx) > 60 && Math.abs(dx) > 2 * Math.abs(dy))
          dx < 0 ? this.next() : this.back();
      },
      { signal, passive: true },
    );
  }

  end() {
    this.stop.abort();
    this.watch.disconnect();
    this.presenter.leave(true);
    this.run++;
  }

  // ---- the address

  open() {
    const asked = new URLSearchParams(
      this.options.alone ? location.hash.slice(1) : location.search,
    );
    const wanted = asked.get("step") || "1";
    const at = /^\d{1,3}$/.test(wanted) ? clamp(Number(wanted), 1, this.deck.steps.length) - 1 : 0;
    const step = this.deck.steps[at],
      answer = asked.get("answer");
    const place = answer === "1" || answer === "2" ? Math.min(Number(answer), step.acts.length) : 0;
    const values = this.script(step, 0);
    for (const control of step.controls) {
      if (control.values.includes(asked.get(control.name)))
        values[control.name] = asked.get(control.name);
    }
    this.lecture.classList.toggle("noted", asked.get("notes") === "1");
    this.enter(at, place, values);
    this.layout();
    const names = this.scripted(step),
      begins = this.script(step, 0);
    // an answer with nothing done yet is performed, as on pressing next
    if (place && names.every((name) => values[name] === begins[name])) this.perform(place);
  }

  write() {
    const found = new URLSearchParams({ step: this.at + 1 });
    if (this.place) found.set("answer", this.place);
    if (this.lecture.classList.contains("noted")) found.set("notes", "1");
    for (const [name, value] of Object.entries(this.values)) found.set(name, value);
    const address = (this.options.alone ? "#" : "?") + found;
    if (address !== (this.options.alone ? location.hash : location.search))
      history.replaceState(history.state, "", address);
  }

  // ---- turning slides

  /** Names of the controls that a step's acts set. */
  scripted(step) {
    return [...new Set(step.acts.flatMap((act) => act.beats.flatMap(Object.keys)))];
  }

  /** What all controls are at a place of a step; those that no act sets stay as they are. */
  script(step, place, values) {
    const found = Object.fromEntries(step.controls.map((control) => [control.name, control.start]));
    const names = this.scripted(step);
    for (const name of Object.keys(values || {}))
      if (!names.includes(name)) found[name] = values[name];
    for (const act of step.acts.slice(0, place))
      for (const beat of act.beats) Object.assign(found, beat);
    return found;
  }

  /** Step and place that follow; the same at the end. */
  after() {
    if (this.place < this.step.acts.length) return [this.at, this.place + 1];
    return this.at + 1 < this.deck.steps.length ? [this.at + 1, 0] : [this.at, this.place];
  }

  next() {
    this.show();
    const [at, place] = this.after();
    if (at === this.at && place !== this.place) this.perform(place);
    else if (at !== this.at) this.go(at, place);
  }

  back() {
    this.show();
    if (this.place) this.go(this.at, this.place - 1);
    else if (this.at) this.go(this.at - 1, this.deck.steps[this.at - 1].acts.length);
  }

  /** On a phone, where one has scrolled down to the controls: the picture again. */
  show() {
    if (this.narrow) this.lecture.scrollIntoView({ block: "start" });
  }

  go(at, place) {
    const step = this.deck.steps[at],
      same = at === this.at;
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
    this.side.replaceChildren(
      this.controls.element,
      make(
        "div",
        { class: "facts" },
        ...step.facts.map((label, k) =>
          make("div", {}, make("p", { class: "label" }, label), this.facts[k]),
        ),
      ),
    );
    this.svg.setAttribute("aria-label", step.alt);
    this.words();
    this.tell(values);
    this.scene = this.picture.scene(step, values, place);
    this.layout();
  }

  /** A person sets a control. */
  choose(name, value) {
    const slides = this.step.controls.find((control) => control.name === name).kind === "slider";
    this.move(
      [{ to: { ...this.values, [name]: value }, duration: slides ? 150 : 700, straight: slides }],
      this.place,
    );
  }

  /** Do visibly what a place is about: from how it was before, beat by beat. */
  perform(place) {
    const before = this.script(this.step, place - 1, this.values),
      beats = [];
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
    const run = ++this.run,
      { step, picture } = this;
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
        const at = share * way.length,
          low = Math.min(Math.floor(at), way.length - 1);
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
        if (run !== this.run) {
          resolve(false);
          return;
        }
        const share = duration ? clamp((now - began) / duration, 0, 1) : 1;
        show(ease(share));
        if (share < 1) requestAnimationFrame(frame);
        else {
          delete this.lecture.dataset.moving;
          resolve(true);
        }
      };
      if (duration) requestAnimationFrame(frame);
      else frame(began);
    });
  }

  // ---- keys

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.composedPath()[0],
      inside = this.lecture.contains(target);
    const typing =
      target.matches &&
      target.matches("input, textarea, select, [contenteditable=true], [role=textbox]");
    if (typing && !inside) return;
    if (this.keys.open || this.table.open) return;
    const moves = inside && typing && target.matches("input[type=range], select");
    if (event.key === "Enter" && inside && target.matches("input[type=checkbox]")) {
      event.preventDefault();
      target.click();
      return;
    }
    const scrolls = document.documentElement.scrollHeight > innerHeight + 4 || this.narrow;
    const act = {
      ArrowRight: "next",
      PageDown: "next",
      " ": event.shiftKey ? "back" : "next",
      ArrowLeft: "back",
      PageUp: "back",
      ArrowDown: moves || scrolls ? null : "next",
      ArrowUp: moves || scrolls ? null : "back",
      Home: "first",
      End: "last",
      "?": "help",
      f: "fill",
      p: "present",
      n: "note",
      b: "darken",
      ".": "darken",
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) this[act]();
  }

  first() {
    this.go(0, 0);
  }
  last() {
    this.go(this.deck.steps.length - 1, 0);
  }
  help() {
    this.keys.showModal();
  }
  present() {
    this.presenter.show();
  }
  darken() {
    this.black.hidden = !this.black.hidden;
  }
}

/** Show a deck in an element; `alone` in a file of its own, otherwise in a page of the app. */
function startLecture(root, deck, options) {
  return new Lecture(root, deck, options);
}
