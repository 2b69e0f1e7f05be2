"""What the web server needs beside the pages: the router, the fonts at an address of our own, the
words for the unforeseen.
"""

from __future__ import annotations

import os
import sys
import traceback
from functools import cache
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lmc_core.errors import LmcError
from lmc_core.folders import assets, read_only
from lmc_core.format import plain
from lmc_core.server.base import Base
from lmc_core.server.door import Door
from lmc_core.server.entrance import PUBLIC
from lmc_core.server.guard import Guard, allowed_hosts
from lmc_core.server.place import read_base
from lmc_core.server.prefix import Prefix
from lmc_core.server.preload import Preload, chart_code
from lmc_core.server.token import take_token
from lmc_core.ui import messages
from lmc_core.ui.pages import PAGES

ICON = Path(__file__).with_name("icon.svg")
ROUTER = Path(__file__).with_name("router.py")


def routes() -> list[Mount]:
    """Return the addresses that are served as files."""
    fonts = StaticFiles(directory=assets() / "fonts")
    return [Mount(f"{base_path()}/fonts", fonts, name="fonts")]


def middleware() -> list[Middleware]:
    """Return what stands before the server, the outermost first: strangers are refused before
    anything else looks at them, then who has not shown the token.

    Then the pages name the code that draws charts, so that it comes early, and their server.

    Raises:
        BadInput: `LMC_HOSTS` is no list of hosts, or `LMC_TOKEN` no token.
    """
    pages, base, hosts = frozenset({"", *PAGES}), base_path(), allowed_hosts()
    public = read_only() and os.environ.get(PUBLIC, "") not in ("", "0")
    door = {"token": token(), "base": base, "pages": pages, "hosts": hosts, "public": public}
    return [
        Middleware(Guard, hosts=hosts),
        *([Middleware(Prefix, base=base)] if base else []),
        Middleware(Door, **door),
        Middleware(Preload, files=chart_code(), pages=pages),
        Middleware(Base, pages=pages),
    ]


def base_path() -> str:
    """The path below which the pages lie, "" for none; Streamlit's own setting of it counts."""
    return read_base(str(st.get_option("server.baseUrlPath") or ""))


@cache
def token() -> str | None:
    """The token that this process asks for, read once and for all: the processes that it starts do
    not get it.
    """
    return take_token(os.environ)


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
