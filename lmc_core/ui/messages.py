"""How a page speaks: refusals without places of the server, and the button that matters most."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.redact import without_places
from lmc_core.ui import address

CROSS = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">'
    '<path d="M3 2L12 11M12 2L3 11" stroke="#717b84" stroke-width="1.8" stroke-linecap="round"/>'
    "</svg>"
)


def sentence(error: Exception | str) -> str:
    """Return what an error says, without places of the server."""
    return without_places(str(error))


def refuse(error: Exception) -> None:
    """Say why something cannot be done."""
    st.error(sentence(error), icon=":material/error:")


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """End the page with the reason where something in the block cannot be done."""
    try:
        yield
    except LmcError as error:
        refuse(error)
        address.stop()


def strong() -> Literal["primary", "secondary"]:
    """The type of the button that matters most on a page.

    On a dark ground Streamlit writes white on the theme's light primary colour, 1.6 times its
    contrast, which nobody can read.
    """
    return "secondary" if st.context.theme.type == "dark" else "primary"


def draw_cross(words: str) -> str:
    """Return the label of a button on which a cross is drawn; a screen reader says the words.

    A button with an icon alone is called after the file of the icon, "close icon", whatever it
    closes. The grey has a contrast of 3.6 or more with every ground.
    """
    return f"![{plain(words)}](data:image/svg+xml,{quote(CROSS, safe='')})"


def plain(text: str) -> str:
    """A person's text as itself: nothing in it is markup, a link or an icon."""
    for sign in "\\`*_{}[]()#+-.!|<>:$~&":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", "  \n")
