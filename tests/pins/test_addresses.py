"""The addresses of the app: its pages, and the parameters that each reads and writes.

`golden/addresses.json` says of every page what it writes when it is opened plainly, and what when a
link with several parameters is followed: parameters that come back as they were are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.pins.golden_files import check
from tests.pins.reach import router, titles_of_pages

PAGES = Path(__file__).parents[2] / "pages"
# address -> title; the first is the app's root
TITLES = {
    "start": "Start",
    "barrier": "Barrier",
    "alignment": "Alignment",
    "landscape": "Landscape",
    "merge": "Merge",
    "experts": "Experts",
    "widths": "Widths",
    "equivariance": "Equivariance",
    "sweeps": "Sweeps",
    "lecture": "Lecture",
    "studies": "Studies",
    "models": "Models",
}
PAIR = {"a": "vit-fashion-s1", "b": "vit-fashion-s0"}
LINKS: dict[str, dict[str, Any]] = {
    "start": {"a": "x"},
    "barrier": {
        **PAIR,
        "points": "11",
        "examples": "500",
        "split": "validation",
        "with": ["none", "weight.units-permutation"],
    },
    "alignment": {
        **PAIR,
        "examples": "256",
        "split": "validation",
        "space": "units",
        "layer": "2",
        "view": "own",
    },
    "landscape": {
        **PAIR,
        "plane": "random",
        "span": "0.5",
        "seed": "2",
        "resolution": "25",
        "examples": "500",
        "split": "validation",
        "view": "surface",
    },
    "merge": {
        "models": ["vit-fashion-s0", "vit-fashion-s2"],
        "merge": ["average", "ties"],
        "frame": ["none", "reference"],
        "set": ["ties.density=0.5"],
        "weights": "0.25,0.75",
        "examples": "500",
    },
    "experts": {"a": "mixtral-plays-s1", "b": "mixtral-plays-s2", "layer": "1", "split": "validation"},
    "widths": {"a": "vit-fashion-narrow-s0", "b": "vit-fashion-s0", "ways": ["weight"], "points": "25", "view": "own"},
    "equivariance": {
        "data": "digits",
        "kind": "broken",
        "form": ["free", "resilient"],
        "rho": "0.3",
        "view": "training",
        "shown": "3",
    },
    "sweeps": {"sweep": "barriers-of-the-zoo"},
    "lecture": {"step": "4", "answer": "1", "notes": "1"},
    "studies": {"q": "vit", "what": "barrier", "study": "one-basin-after-all"},
    "models": {"a": "x"},
}  # fmt: skip


def opened(name: str, link: dict[str, Any]) -> dict[str, list[str]]:
    """Open a page at an address, and return the parameters that it has left there."""
    # the first page links to the others, which only the script of all addresses knows
    path = router() if name == "start" else PAGES / f"{name}.py"
    at = AppTest.from_file(str(path), default_timeout=60)
    for parameter, value in link.items():
        at.query_params[parameter] = value
    at.run()
    assert not at.exception, at.exception[0].message
    assert not at.error, at.error[0].value
    return {
        key: value if isinstance(value, list) else [value]
        for key, value in sorted(at.query_params.items())
    }


def test_the_pages() -> None:
    assert titles_of_pages() == TITLES and list(titles_of_pages()) == list(TITLES)
    assert {path.stem for path in PAGES.glob("*.py")} == TITLES.keys()


@pytest.mark.parametrize("name", TITLES)
def test_a_page_opened_plainly(name: str) -> None:
    check("addresses", f"{name}, plain", opened(name, {}))


@pytest.mark.parametrize("name", TITLES)
def test_a_link_into_a_page(name: str) -> None:
    written = opened(name, LINKS[name])
    check("addresses", f"{name}, link", written)
    assert opened(name, written) == written, "what a page writes leads back to it"
