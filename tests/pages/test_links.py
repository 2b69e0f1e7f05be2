"""Links between pages: every result leads to the other views of its models, and every stored
result to its page.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.runs.request import Request
from lmc_core.runs.store import Store
from lmc_core.ui import backend, catalogue, links
from lmc_core.ui.pages import PAGES
from tests.pages.conftest import Installation
from tests.pages.reading import page


def views(at: AppTest) -> dict[str, dict[str, list[str]]]:
    """Page -> query parameters of its link, which is written as Markdown where a page runs
    alone.
    """
    found = {}
    for each in at.markdown:
        title, _, rest = each.value.removeprefix("[").partition("](")
        if each.value.startswith("[") and title in [entry.title for entry in PAGES.values()]:
            name, _, query = rest.removesuffix(")").partition("?")
            found[name] = parse_qs(query)
    return found


def test_a_barrier_leads_to_the_other_views_with_models_and_setting(app: Installation) -> None:
    at = page("barrier", examples="50", points="5", a="vit-fashion-s1", b="vit-fashion-s0")
    at.query_params.update({"residual": "permutation", "with": "none", "split": "validation"})
    app.finish(at)
    found = views(at.run())
    assert list(found) == ["alignment", "landscape", "merge"]
    assert found["alignment"] == {
        "a": ["vit-fashion-s1"],
        "b": ["vit-fashion-s0"],
        "method": ["weight"],
        "residual": ["permutation"],
        "units": ["permutation"],
        "heads": ["permutation"],
        "query-key": ["invertible"],
        "value-output": ["invertible"],
        "task": ["fashion-mnist"],
        "split": ["validation"],
    }
    assert found["merge"]["models"] == ["vit-fashion-s1", "vit-fashion-s0"]


def test_models_of_two_widths_lead_to_the_page_of_widths(app: Installation) -> None:
    known = catalogue.models()
    narrow, wide = known["vit-fashion-narrow-s0"], known["vit-fashion-s0"]
    assert links.find_views("barrier", [wide, narrow]) == ["widths"]
    address = links.address_of("widths", [wide, narrow], None, {})
    assert address == {"a": "vit-fashion-narrow-s0", "b": "vit-fashion-s0"}
    mixtures = [known[f"mixtral-plays-s{seed}"] for seed in range(2)]
    assert "experts" in links.find_views("barrier", mixtures)


def shipped() -> list[Any]:
    """One stored result of every kind, plane, frame and width that came with the app."""
    found: dict[tuple[object, ...], Any] = {}
    came = Store().shipped
    for entry in Store(came, came).list():  # none of a person's own
        request = entry.request
        frame = request.get("method") if request["what"] == "merge" else None
        about = (request["what"], request.get("kind"), frame, request.get("names"))
        found.setdefault(tuple(map(str, about)), entry)
    return list(found.values())


@pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.key[:8])
def test_a_stored_result_leads_to_the_page_that_shows_it(
    entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    read = backend.stored

    def stored(request: Request) -> object:
        asked.add(request.key)
        return read(request)

    monkeypatch.setattr(backend, "stored", stored)
    home = links.find_home(entry.request, catalogue.models(), entry.key)
    assert home is not None
    name, address = home
    at = page(name, **address).run()
    assert not at.exception
    if entry.request["what"] != "layers" or entry.request["method"] != "learned":
        assert entry.key in asked, (name, address)


def test_what_is_not_there_any_more_leads_nowhere() -> None:
    entry = next(each for each in Store().list() if each.request["what"] == "barrier")
    assert links.find_home(entry.request, {}) is None
    assert links.find_home({"what": "something"}, {}) is None
