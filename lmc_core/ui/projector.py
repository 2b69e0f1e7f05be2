"""The projector mode: a key enlarges all type, of pages and figures, for the last row of a hall."""

from __future__ import annotations

from streamlit.components.v2 import component

KEY = "z"
ZOOM = 1.4

# The setting lives in the window: every page of it stays enlarged, and no run is needed.
SCRIPT = """
export default function ({ data, parentElement }) {
  const root = document.documentElement, name = "lmc-projector";
  // takes no room below the page, which the lecture fills to the last pixel
  document.querySelector(".st-key-projector")?.style.setProperty("position", "absolute");
  const show = () => {
    root.style.zoom = sessionStorage.getItem(name) ? data.zoom : "";
    window.dispatchEvent(new Event("resize"));
  };
  const pressed = (event) => {
    const field = event.target.closest?.("input, textarea, select, [contenteditable=true]");
    const other = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key !== data.key || event.repeat || field || other) return;
    if (sessionStorage.getItem(name)) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, "1");
    show();
  };
  // this function runs again with every page; what listened for the one before must not go on
  parentElement.stop?.();
  if (sessionStorage.getItem(name)) show();
  document.addEventListener("keydown", pressed);
  return parentElement.stop = () => document.removeEventListener("keydown", pressed);
}
"""


_EAR = component("projector", html="<span aria-hidden='true'></span>", js=SCRIPT)


def listen() -> None:
    """Let the key `KEY` turn the projector mode on and off."""
    _EAR(key="projector", data={"key": KEY, "zoom": ZOOM}, height=1)
