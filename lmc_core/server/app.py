"""What the web server needs beside the pages: the scripts, the fonts at an address of our own, the
words for the unforeseen.
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lmc_core.errors import LmcError
from lmc_core.folders import app_folder, assets
from lmc_core.format import plain
from lmc_core.server.guard import Guard, allowed_hosts
from lmc_core.server.preload import Preload, chart_code
from lmc_core.ui import messages

ICON = Path(__file__).with_name("icon.svg")
ROUTER = Path(__file__).with_name("router.py")


@dataclass(frozen=True)
class Entry:
    """A page of the app.

    Attributes:
        title: in the navigation.
        sentence: what it shows.
    """

    title: str
    sentence: str


# Name -> page, in the order of the navigation. The script is pages/<name>.py, the address /<name>,
# but for the first.
PAGES = {
    "start": Entry("Start", "What a loss barrier is, and three ways in."),
    "barrier": Entry(
        "Barrier",
        "The loss between two models, as symmetries are allowed one class after the other.",
    ),
    "alignment": Entry("Alignment", "What was matched with what, layer by layer."),
    "landscape": Entry("Landscape", "The plane through the models, and curved paths in it."),
    "merge": Entry("Merge", "Several models made one, by every method side by side."),
    "experts": Entry("Experts", "Mixtures of experts: all orders, and where the tokens go."),
    "widths": Entry("Widths", "A narrow model inside a wide one."),
    "equivariance": Entry(
        "Equivariance",
        "The symmetry of the data, and the way from a free network to an equivariant one.",
    ),
    "lecture": Entry("Lecture", "Symmetry in about ten steps, for a hall."),
    "studies": Entry("Studies", "Every stored result: compare, keep, take away."),
    "models": Entry("Models", "What is shipped, and what can be opened."),
}


def script(name: str) -> Path:
    """The file of a page."""
    return app_folder() / "pages" / f"{name}.py"


def there() -> list[str]:
    """Names of the pages in the order of the navigation."""
    return [name for name in PAGES if script(name).is_file()]


def routes() -> list[Mount]:
    """Return the addresses that are served as files."""
    return [Mount("/fonts", StaticFiles(directory=assets() / "fonts"), name="fonts")]


def middleware() -> list[Middleware]:
    """Return what stands before the server, the outermost first: strangers are refused before
    anything else looks at them.

    Then the pages name the code that draws charts, so that it comes early.

    Raises:
        BadInput: `LMC_HOSTS` is no list of hosts.
    """
    return [
        Middleware(Guard, hosts=allowed_hosts()),
        Middleware(Preload, files=chart_code(), pages=frozenset({"", *PAGES})),
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
