"""Addresses that no page has written: one sentence, and nothing is loaded for them."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.server.app import ROUTER
from lmc_core.ui.address import LONGEST, REPEATED
from tests.pages.reading import page

ODD = {
    "models": ["vit-fashion-s0"] * 300,
    "with": [f"weight.units-{n}" for n in range(300)],
    "show": ["ab" * 500] * 20,
    "a": ["x" * 10**5],
    "![x](http://evil.example/x.png)": ["1"] * 300,
}


@pytest.mark.parametrize("name", ODD)
def test_a_long_address_is_one_sentence(name):
    at = AppTest.from_file(str(ROUTER), default_timeout=60)
    at.query_params[name] = ODD[name]
    at.run()
    assert not at.exception
    (said,) = at.error
    assert (
        said.value.startswith("This address ")
        and len(said.value) < 200
        and "evil" not in said.value
    )
    assert not at.title  # no page ran


def test_many_names_too():
    at = AppTest.from_file(str(ROUTER), default_timeout=60)
    for number in range(300):
        at.query_params[f"n{number}"] = "1"
    at.run()
    assert "in 300 parts" in at.error[0].value


def test_what_a_page_writes_is_followed(app):
    at = AppTest.from_file(str(ROUTER), default_timeout=60)
    at.query_params["with"] = ["weight.units-permutation"] * REPEATED
    at.query_params["task"] = "x" * (LONGEST // 2)
    at.run()
    assert not at.exception and not [
        each for each in at.error if each.value.startswith("This address")
    ]


PAGES = (
    "barrier",
    "alignment",
    "landscape",
    "merge",
    "experts",
    "widths",
    "equivariance",
    "studies",
    "sweeps",
    "lecture",
    "models",
)
VALUES = (
    "nan",
    "inf",
    "-1",
    "1e300",
    "9" * 400,
    "\x1b[31m",
    "=1+1",
    "![x](http://evil.example/x.png)",
    "../../etc",
    "",
)
NAMES = (
    "a", "b", "c", "models", "frame", "merge", "set", "weights", "onto", "steps", "points", "examples", "resolution", "with",
    "carry", "from", "tuned", "to", "itself", "learned", "by", "task", "split", "span", "at", "layer", "shown", "step", "price", "kind", "seed", "view", "study", "show", "space", "ways", "sweep",
)  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_page_survives_any_address(name, request):
    if name != "lecture":  # which shows the shipped models themselves
        request.getfixturevalue("app")
    for value in VALUES:
        at = page(name)
        for each in NAMES:
            several = each in ("models", "with", "set", "show")
            at.query_params[each] = [value, value] if several else value
        at.run()
        assert not at.exception, (name, value, at.exception[0].message)


def test_a_model_that_is_named_twice_is_one(app):
    named = [f"vit-fashion-s{seed}" for seed in (0, 0, 1, 0)]
    at = page("merge", models=named, set="ties.density=nan").run()
    assert not at.exception
    assert at.session_state["merge_models"] == ["vit-fashion-s0", "vit-fashion-s1"]
