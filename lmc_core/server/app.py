"""What the web server needs beside the pages: the router, the fonts at an address of our own, the
words for the unforeseen.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lmc_core.errors import LmcError
from lmc_core.folders import assets
from lmc_core.format import plain
from lmc_core.server.base import Base
from lmc_core.server.guard import Guard, allowed_hosts
from lmc_core.server.preload import Preload, chart_code
from lmc_core.ui import messages
from lmc_core.ui.pages import PAGES

ICON = Path(__file__).with_name("icon.svg")
ROUTER = Path(__file__).with_name("router.py")


def routes() -> list[Mount]:
    """Return the addresses that are served as files."""
    return [Mount("/fonts", StaticFiles(directory=assets() / "fonts"), name="fonts")]


def middleware() -> list[Middleware]:
    """Return what stands before the server, the outermost first: strangers are refused before
    anything else looks at them.

    Then the pages name the code that draws charts, so that it comes early, and their server.

    Raises:
        BadInput: `LMC_HOSTS` is no list of hosts.
    """
    pages = frozenset({"", *PAGES})
    return [
        Middleware(Guard, hosts=allowed_hosts()),
        Middleware(Preload, files=chart_code(), pages=pages),
        Middleware(Base, pages=pages),
    ]


def say_error(error: Exception) -> bool:
    """Show an error that no page caught as a sentence; the full report goes to the terminal.

    Returns:
        True: nothing else needs to be shown.
    """
    if isinstance(error, LmcError):
        messages.refuse(error)
        return True
    print(plain("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    st.error(
        f"This page stopped at something it was not made for ({type(error).__name__}). The full "
        "report is in the terminal "
        "where the app was started; reload the page to go on.",
        icon=":material/error:",
    )
    return True
