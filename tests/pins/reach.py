"""Every name that the pins import from inside of the package; nothing else here knows where things
lie.
"""

from __future__ import annotations

from pathlib import Path

from lmc_core.runs.computation import COMPUTATIONS, request_from_json
from lmc_core.server.app import PAGES, ROUTER

__all__ = ["kinds_of_computation", "request_from_json", "router", "titles_of_pages"]


def kinds_of_computation() -> set[str]:
    """Return the names of all kinds of computation that ship."""
    return set(COMPUTATIONS) - {"fake"}


def titles_of_pages() -> dict[str, str]:
    """Return the titles of the app's pages by their addresses, in the order of the navigation."""
    return {name: page.title for name, page in PAGES.items()}


def router() -> Path:
    """Return the script that the app runs for every address."""
    return ROUTER
