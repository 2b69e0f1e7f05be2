"""The lecture on its page: the player of the file in a component, which the server feeds once.

Nothing on the page reports to the server, so that no run of its script can meet controls that have
not read the address yet; the one exception is the button that asks for the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.components.v2 import component

from lmc_core.lecture.deck import lecture_html, player
from lmc_core.lecture.steps import STEPS
from lmc_core.look import Theme

KEY = "lecture_deck"
FILE = "lecture.html"

START = """
function offer(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

export default function ({ data, parentElement, setTriggerValue }) {
  // called again when the theme changes; the lecture goes on where it is
  clearTimeout(parentElement.leaving);
  const running = parentElement.lecture;
  if (running) {
    running.options.theme = data.theme;
    running.layout();
  } else {
    const save = () => setTriggerValue("save", true);
    const place = parentElement.querySelector(".place");
    parentElement.lecture = startLecture(place, JSON.parse(data.deck), { theme: data.theme, save });
  }
  if (data.file) offer(data.name, data.file);
  return () => {
    parentElement.leaving = setTimeout(() => {
      parentElement.lecture?.end();
      delete parentElement.lecture;
    }, 0);
  };
}
"""

_lecture = component(
    "lecture_deck", html='<div class="place"></div>', js=f"{player()}\n{START}", css=""
)


def read_address(asked: Mapping[str, str]) -> dict[str, str | None]:
    """Return what an address says of the lecture, with what it leaves out; None is nothing.

    Args:
        asked: parameters of the address.
    """
    wanted = asked.get("step", "1")
    at = int(wanted) if wanted.isdecimal() and wanted.isascii() and len(wanted) < 4 else 1
    step = STEPS[min(max(at, 1), len(STEPS)) - 1]
    answer = asked.get("answer", "")
    place = min(int(answer), len(step.acts)) if answer in ("1", "2") else 0
    values = {
        control.name: asked[control.name]
        if asked.get(control.name) in control.values
        else control.start
        for control in step.controls
    }
    return {
        "step": str(STEPS.index(step) + 1),
        "answer": str(place) if place else None,
        "notes": "1" if asked.get("notes") == "1" else None,
        **values,
    }


def show_lecture(deck: str, theme: Theme) -> None:
    """Show the lecture, as high as the window leaves room.

    Args:
        deck: of `lecture.deck.deck`.
        theme: of the reader.
    """
    asked = (st.session_state.get(KEY) or {}).get("save")
    _lecture(
        key=KEY,
        data={
            "deck": deck,
            "theme": theme,
            "name": FILE,
            "file": lecture_html() if asked else None,
        },
        on_save_change=lambda: None,
    )
