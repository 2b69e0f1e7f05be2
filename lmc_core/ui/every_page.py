"""What stands on every page around its content: the product's mark with its name, an ear for a
change of the theme, and the projector mode: a key enlarges all type, of pages and figures, for the
last row of a hall.
"""

from __future__ import annotations

import streamlit as st
from streamlit.components.v2 import component

from lmc_core.look import PRODUCT
from lmc_core.ui.panels import theme

INK = {"light": "#0f161c", "dark": "#e8edf1"}  # as the text of .streamlit/config.toml
WORDMARK = """<svg xmlns="http://www.w3.org/2000/svg" width="210" height="32" viewBox="0 0 210 32">
<rect width="32" height="32" rx="6" fill="#0b5a7d"/>
<path d="M4 24 C10 24 11 7 16 7 S22 24 28 24" fill="none" stroke="#b3bac2" stroke-width="2.6"
 stroke-dasharray="3.4 2"/>
<path d="M4 24 C10 24 12 20 16 20 S22 24 28 24" fill="none" stroke="#ffffff" stroke-width="2.8"/>
<text x="42" y="23" font-size="21" font-weight="600" fill="{ink}"
 font-family="'IBM Plex Sans', 'Helvetica Neue', Arial, sans-serif">{name}</text>
</svg>"""
# A change of a colour of the theme, by the system or in the menu, begins a transition.
STYLE = """
span { color: var(--st-background-color); transition: color 1ms; position: absolute; }
"""
EAR = """
export default function ({ parentElement, setTriggerValue }) {
  const probe = parentElement.querySelector("span");
  // takes no room below the page, which the lecture fills to the last pixel
  document.querySelector(".st-key-theme_ear")?.style.setProperty("position", "absolute");
  const heard = () => setTriggerValue("theme", getComputedStyle(probe).color);
  probe.addEventListener("transitionend", heard);
  return () => probe.removeEventListener("transitionend", heard);
}
"""
_THEME_EAR = component("theme_ear", html="<span aria-hidden='true'></span>", css=STYLE, js=EAR)
PROJECTOR_KEY = "z"
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
_PROJECTOR_EAR = component("projector", html="<span aria-hidden='true'></span>", js=SCRIPT)


def show_mark() -> None:
    """Show the product's mark and name, in the theme's colour of text."""
    st.logo(WORDMARK.format(ink=INK[theme()], name=PRODUCT), size="medium")


def follow_theme() -> None:
    """Run the page again when its theme changes, so that figures follow at once.

    The script knows the theme only from what the browser sends with a run.
    """
    _THEME_EAR(key="theme_ear", height=1, on_theme_change=lambda: None)


def listen_for_projector() -> None:
    """Let the key `PROJECTOR_KEY` turn the projector mode on and off."""
    _PROJECTOR_EAR(key="projector", data={"key": PROJECTOR_KEY, "zoom": ZOOM}, height=1)
