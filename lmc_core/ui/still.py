"""A figure as a picture at its place, until the browser can draw it.

Plotly takes the main thread of a browser for a second before the first figure of a visit is there.
The picture comes with the page; only when it has been seen is the chart sent, so that Plotly's
start cannot come before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import streamlit as st
from streamlit.components.v2 import component

from lmc_core.figures.margin import narrowed
from lmc_core.figures.still import still_picture
from lmc_core.ui.drawn import draw_once
from lmc_core.ui.panels import phone, show_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

PLACE, PICTURE, SEEN = "at_once", "at_once_picture", "at_once_seen"
# Both lie in one cell, so that nothing moves when the chart takes over; a class twice is stronger
# than Streamlit's own, whose rules come in any order.
STYLE = f"""
.st-key-{PLACE}.st-key-{PLACE} {{ display: grid; grid-template-columns: minmax(0, 1fr); }}
.st-key-{PLACE} > * {{ grid-area: 1 / 1; }}
.st-key-{PICTURE} {{ z-index: 1; }}
.st-key-{PLACE}:has(.main-svg .trace) .st-key-{PICTURE} {{ display: none; }}
"""
# A tab that nobody looks at may paint no frame, and is not kept waiting for one.
SCRIPT = """
export default function ({ data, parentElement, setTriggerValue }) {
  if (!data) return;  // the chart is on its way
  parentElement.querySelector(".lmc-picture").innerHTML = data;
  let said = false;
  const seen = () => {
    if (!said) setTimeout(() => setTriggerValue("seen", true));
    said = true;
  };
  if (document.hidden) seen();
  requestAnimationFrame(seen);
  setTimeout(seen, 2000);
}
"""
_PICTURE = component(
    "picture", html="<div class='lmc-picture'></div>", css=STYLE, js=SCRIPT, isolate_styles=False
)
CARD = """
export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".lmc-picture");
  box.innerHTML = data.picture;
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", data.alt);
}
"""
_CARD = component(
    "card_picture", html="<div class='lmc-picture' role='img'></div>", js=CARD, isolate_styles=False
)


def show_at_once(figure: go.Figure, key: str, alt: str, width: int, *about: object) -> None:
    """Show a figure of curves, and until it is drawn a picture of it; one on a page.

    Args:
        figure: to show, with its height.
        key: of the chart.
        alt: what it shows, in a sentence.
        width: in pixels at the most.
        about: everything that the figure depends on, as JSON values.
    """
    shown = narrowed(figure) if phone() else figure
    picture = draw_once(lambda: still_picture(shown), "still", phone(), *about)

    @st.fragment
    def show() -> None:
        with st.container(key=PLACE):
            waiting = SEEN not in st.session_state
            if picture is not None and _is_watched():
                height = int(cast("Any", shown.layout).height)
                told = picture if waiting else None
                _PICTURE(key=PICTURE, data=told, width=width, height=height, on_seen_change=_note)
                if waiting:
                    return
            show_figure(figure, key, alt, width=width)

    show()


def show_card(figure: go.Figure, key: str, alt: str) -> None:
    """Show a figure that answers to nothing, as a picture where one can be made of it.

    Args:
        figure: to show, with its height; nobody writes into it.
        key: of the picture.
        alt: what it shows, in a sentence.
    """
    picture = still_picture(figure) if _is_watched() else None
    if picture is None:
        show_figure(figure, key, alt, still=True)
    else:
        height = int(cast("Any", figure.layout).height)
        _CARD(key=key, data={"picture": picture, "alt": alt}, height=height)


def _note() -> None:
    st.session_state[SEEN] = True


def _is_watched() -> bool:
    """Whether a browser has asked, which will say that the picture is there."""
    return bool(st.context.headers.get("User-Agent"))
