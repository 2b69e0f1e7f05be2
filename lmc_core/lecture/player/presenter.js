// The presenter's window: notes, what comes next, and a clock. It belongs to the audience's window,
// which writes into it, so that it needs neither a server nor a network.

// The one thing that runs in that window itself: it offers itself to the page that opened it, which
// after a reload is a new one that knows nothing of it. (A file that was reloaded is a stranger to
// the window, for browsers; there the key p finds it.)
const OFFER = `setInterval(() => {
  try {
    opener.adoptPresenter?.(window);
  } catch {}
}, 250);`;

class Presenter {
  constructor(lecture) {
    this.lecture = lecture;
    this.adopts = (other) => this.adopt(other);
    window.adoptPresenter = this.adopts;
  }

  get open() {
    return Boolean(this.window && !this.window.closed);
  }

  /** Take a window that is there, unless it is this lecture's already. */
  adopt(other) {
    if (this.window === other && !this.left) return;
    this.window = other;
    this.fill();
  }

  /** Open the window, or bring it to the front. */
  show() {
    if (this.open && !this.left) {
      this.window.focus();
      return;
    }
    this.window = window.open("", "lmc-lecture-presenter", "popup,width=1000,height=680");
    if (this.window) this.fill(); // else the browser forbids windows
  }

  /** Write the parts of the window, and what they show. */
  fill() {
    this.left = false;
    this.window.began ??= Date.now(); // stays with the window, whichever page writes into it
    const view = this.window.document;
    view.title = "Presenter: " + this.lecture.deck.title;
    view.head.replaceChildren(make("style", {}, this.lecture.deck.presenter));
    const part = (tag, name) => (this[name] = make(tag, { class: name }));
    const button = (words, act) => make("button", { type: "button", onclick: act }, words);
    view.body.replaceChildren(
      make(
        "div",
        { class: "head" },
        part("span", "name"),
        part("span", "elapsed"),
        part("span", "clock"),
      ),
      make("div", {}, part("h1", "question"), part("p", "said")),
      part("p", "notes"),
      part("div", "next"),
      make(
        "div",
        { class: "row" },
        button("Back", () => this.lecture.back()),
        button("Next", () => this.lecture.next()),
        button("Start the time again", () => {
          this.window.began = Date.now();
          this.tick();
        }),
      ),
    );
    view.onkeydown = (event) => this.lecture.pressed(event); // in place of the page's before
    if (!this.window.offers) {
      this.window.offers = true;
      view.head.append(make("script", {}, OFFER));
    }
    clearInterval(this.timer);
    this.timer = setInterval(() => this.tick(), 1000);
    this.follow();
  }

  tick() {
    if (!this.open) {
      clearInterval(this.timer);
      return;
    }
    const seconds = Math.floor((Date.now() - this.window.began) / 1000);
    this.clock.textContent = new Date().toLocaleTimeString([], {
      hour: "2-digit",
      minute: "2-digit",
    });
    const past = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    this.elapsed.textContent = `${past} since the start`;
  }

  /** Show what the audience sees now and next. */
  follow() {
    if (!this.open || this.left) return;
    const { lecture } = this,
      { step, place, deck } = lecture;
    this.tick();
    this.name.textContent = lecture.title();
    this.question.textContent = step.question;
    this.said.textContent = place ? step.acts[place - 1].words : "The question stands alone.";
    this.notes.textContent = step.notes;
    const [at, then] = lecture.after();
    const coming = deck.steps[at];
    if (coming === step && then === place) {
      this.next.replaceChildren(make("h2", {}, "The end"));
      return;
    }
    const words = then ? coming.acts[then - 1].words : coming.question;
    const values = lecture.script(coming, then, coming === step ? lecture.values : undefined);
    const pen = new Pen(1000, 440, 1, false, lecture.palette("dark"));
    const picture = PICTURES[coming.key];
    picture.paint(pen, picture.scene(coming, values, then), coming, {
      revealed: then > 0,
      place: then,
      id: "next",
    });
    this.next.innerHTML = `<h2>Next</h2><h1></h1><svg viewBox="0 0 1000 440">${pen.svg()}</svg>`;
    this.next.querySelector("h1").textContent = words;
  }

  /** The audience's window goes, or the lecture in it ends. */
  leave(ended = false) {
    if (ended && window.adoptPresenter === this.adopts) delete window.adoptPresenter;
    clearInterval(this.timer);
    this.left = true;
    if (!this.open) return;
    this.notes.textContent =
      "The lecture's window was closed or is loading; if it does not come back, press p there.";
  }
}
