"""The words of a slide, large enough for the last row, and what a lecturer's hand does: page keys,
and arrows after a slider.

Streamlit's own type has fixed sizes; these words grow with the window, in a component of their own
that touches nothing else. The component also tells how high the window is, so that the picture can
fill what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.components.v2 import component

ASSUMED = 800  # pixels; the height of the window until it is known
ROUND = 20  # pixels; smaller changes of the window are not worth a new picture

STYLE = """
section { font-family: var(--st-font); color: var(--st-text-color); }
p, h1 { margin: 0; padding: 0; }
.name {
  font-size: max(0.9rem, min(2.4vh, 1.6vw));
  line-height: 1.3;
  opacity: 0.8;
  font-variant-numeric: tabular-nums;
}
h1 { font: 600 max(1.4rem, min(4.8vh, 3vw)) / 1.2 'Source Serif 4', Georgia, serif; }
.answer {
  font-size: max(1rem, min(3.1vh, 2vw));
  line-height: 1.3;
  min-height: 2.6em;
  margin-top: 0.3em;
  text-wrap: pretty;
}
.label { font-size: max(0.9rem, min(2.4vh, 1.6vw)); line-height: 1.25; margin-top: 0.6em; }
.value {
  font-size: max(1.4rem, min(4.6vh, 2.9vw));
  line-height: 1.2;
  font-weight: 600;
  font-variant-numeric: tabular-nums;
}
"""

SLIDE = """
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  for (const part of ["name", "question", "answer"]) {
    parentElement.querySelector("." + part).textContent = data[part];
  }
  const tell = () => {
    const height = Math.round(window.innerHeight / data.round) * data.round;
    if (height !== data.height) setStateValue("height", height);
  };
  let waiting;
  const resized = () => { clearTimeout(waiting); waiting = setTimeout(tell, 300); };
  const pressed = (event) => {
    const turn = { PageDown: "next", PageUp: "back" }[event.key];
    if (!turn || event.repeat) return;
    event.preventDefault();
    setTriggerValue("turn", turn);
  };
  const released = () => {
    const active = document.activeElement;
    if (active && active.matches("input[type=range]")) setTimeout(() => active.blur(), 0);
  };
  // this function runs again with every new slide; what listened for the old one must not go on
  parentElement.stop?.();
  tell();
  window.addEventListener("resize", resized);
  document.addEventListener("keydown", pressed, true);
  document.addEventListener("pointerup", released);
  return parentElement.stop = () => {
    clearTimeout(waiting);
    window.removeEventListener("resize", resized);
    document.removeEventListener("keydown", pressed, true);
    document.removeEventListener("pointerup", released);
  };
}
"""

FACT = """
export default function ({ data, parentElement }) {
  for (const part of ["label", "value"]) {
    parentElement.querySelector("." + part).textContent = data[part];
  }
}
"""

_slide = component(
    "lecture_slide",
    html='<section><p class="name"></p><h1 class="question"></h1><p class="answer" '
    'aria-live="polite"></p></section>',
    css=STYLE,
    js=SLIDE,
)
_fact = component(
    "lecture_fact",
    html='<section><p class="label"></p><p class="value"></p></section>',
    css=STYLE,
    js=FACT,
)


def show_slide(name: str, question: str, answer: str, turn: Callable[[str], None]) -> int:
    """Show the words of a step and return the height of the window in pixels.

    Args:
        name: small, above.
        question: the heading.
        answer: below; its place is kept while it is empty.
        turn: called with ``next`` or ``back`` when a page key is pressed.
    """

    def turned() -> None:
        pressed = st.session_state["lecture_slide"].get("turn")
        if pressed:
            turn(pressed)

    known = (st.session_state.get("lecture_slide") or {}).get("height") or ASSUMED
    _slide(
        key="lecture_slide",
        data={
            "name": name,
            "question": question,
            "answer": answer,
            "height": known,
            "round": ROUND,
        },
        on_height_change=lambda: None,
        on_turn_change=turned,
    )
    return int(known)


def show_fact(label: str, value: str, key: str) -> None:
    """Show a measured number, large, with what it is."""
    _fact(key=f"lecture_fact_{key}", data={"label": label, "value": value})
