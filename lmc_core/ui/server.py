"""What the web server needs beside the pages: the scripts, the fonts at an address of our own, the words for the unforeseen."""

from __future__ import annotations

import traceback
from pathlib import Path

import streamlit as st
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lmc_core.errors import LmcError
from lmc_core.places import app_folder, assets

ICON = Path(__file__).with_name("icon.svg")
ROUTER = Path(__file__).with_name("router.py")
START = app_folder() / "pages" / "start.py"
BARRIER = app_folder() / "pages" / "barrier.py"
MODELS = app_folder() / "pages" / "models.py"


def routes() -> list[Mount]:
    """Return the addresses that are served as files."""
    return [Mount("/fonts", StaticFiles(directory=assets() / "fonts"), name="fonts")]


def say_error(error: Exception) -> bool:
    """Show an error that no page caught as a sentence; the full report goes to the terminal.

    Returns:
        True: nothing else needs to be shown.
    """
    if isinstance(error, LmcError):
        st.error(str(error), icon=":material/error:")
        return True
    traceback.print_exception(error)
    st.error(
        f"This page stopped at something it was not made for ({type(error).__name__}). The full report is in the terminal "
        "where the app was started; reload the page to go on.",
        icon=":material/error:",
    )
    return True
