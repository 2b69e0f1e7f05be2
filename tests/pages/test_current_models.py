"""One current pair, or set, of models for the session: every page begins with it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.server.app import ROUTER
from lmc_core.ui import current
from tests.pages.conftest import Installation
from tests.pages.reading import box, page, parameter, parameters

LATER = ["vit-fashion-s2", "vit-fashion-s0"]
TEXTS = ["gpt2-plays-s1", "gpt2-plays-s0"]


def visit(name: str, before: AppTest | None = None, **address: str) -> AppTest:
    """Open a page, after another one in the same session."""
    at = page(name, **address)
    if before is not None and current.NAME in before.session_state:
        at.session_state[current.NAME] = before.session_state[current.NAME]
    at.run()
    assert not at.exception
    return at


def pair_of(at: AppTest) -> list[str | None]:
    return [parameter(at, "a"), parameter(at, "b")]


@pytest.mark.parametrize("name", ["alignment", "landscape", "barrier"])
def test_another_page_begins_with_the_pair_of_the_one_before(app: Installation, name: str) -> None:
    at = visit("barrier", a=LATER[0], b=LATER[1])
    at = visit(name, at)
    assert pair_of(at) == LATER
    assert pair_of(visit(name, at, a=TEXTS[0], b=TEXTS[1])) == TEXTS  # an address wins


def test_a_pair_chosen_in_the_lists_is_the_current_one(app: Installation) -> None:
    at = visit("alignment")
    at.selectbox[0].set_value(TEXTS[0]).run()
    at.selectbox[1].set_value(TEXTS[1]).run()
    assert pair_of(visit("barrier", at)) == TEXTS
    assert set(TEXTS) <= set(parameters(visit("merge", at), "models"))


def test_a_page_that_cannot_show_the_pair_leaves_it_alone(app: Installation) -> None:
    at = visit("barrier", a=LATER[0], b=LATER[1])
    at = visit("experts", at)
    assert pair_of(at) == ["mixtral-plays-s0", "mixtral-plays-s1"]
    assert pair_of(visit("barrier", at)) == LATER
    box(at, "Model A, at \u03bb = 0").set_value("mixtral-plays-s1").run()
    assert pair_of(visit("barrier", at)) == ["mixtral-plays-s1", "mixtral-plays-s0"]


def test_widths_finds_a_narrow_model_for_one_of_the_pair(app: Installation) -> None:
    at = visit("widths", visit("barrier", a=LATER[0], b=LATER[1]))
    assert pair_of(at) == ["vit-fashion-narrow-s0", LATER[0]]
    assert pair_of(visit("barrier", at)) == LATER


def test_a_set_begins_with_the_pair_and_gives_it_back(app: Installation) -> None:
    at = visit("merge", visit("barrier", a=LATER[0], b=LATER[1]))
    assert set(parameters(at, "models")) == {f"vit-fashion-s{seed}" for seed in range(3)}
    assert pair_of(visit("barrier", at)) == LATER


def test_the_third_of_a_plane_is_the_third_of_the_set(app: Installation) -> None:
    at = visit("landscape", a=LATER[0], b=LATER[1], plane="three")
    assert at.session_state[current.NAME] == [*LATER, "vit-fashion-s1"]
    assert pair_of(visit("alignment", at)) == LATER


@pytest.mark.parametrize("name", ["equivariance", "studies"])
def test_a_page_about_something_else_carries_the_pair(app: Installation, name: str) -> None:
    """So that a reload there, which begins a new session, does not lose it."""
    at = page(name)
    at.session_state[current.NAME] = LATER
    at.session_state["address_carries"] = True
    at.run()
    assert not at.exception and parameter(at, current.PARAMETER) == ",".join(LATER)


def test_the_first_page_takes_the_pair_from_its_address(app: Installation) -> None:
    at = AppTest.from_file(str(ROUTER), default_timeout=60)
    at.query_params[current.PARAMETER] = ",".join(LATER)
    at.run()
    assert not at.exception and at.session_state[current.NAME] == LATER
    assert parameter(at, current.PARAMETER) == ",".join(LATER)
