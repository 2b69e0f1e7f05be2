"""The page Widths in every state."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.numbers import estimate, number
from lmc_core.ui.widths_controls import all_pairs, fits, narrow_models
from tests.pages.conftest import Installation
from tests.pages.reading import (
    buttons,
    charts,
    errors,
    files,
    metrics,
    page,
    parameter,
    parameters,
    press,
    progress,
    words,
)

THIN, MIDDLE, WIDE = "vit-fashion-narrow-s0", "vit-fashion-s0", "vit-fashion-wide-s0"
SMALL = {"examples": "50", "points": "5", "ways": "weight"}


def sized(name: str, width: int, family: str = "vit", **more: int) -> dict[str, Any]:
    """What matters here of a row of the catalogue."""
    sizes = {"width": width, "depth": 4, "heads": 4, "units": 4 * width} | more
    return {"name": name, "family": family, "task": family, "width": width, "sizes": sizes}


KNOWN = {
    each["name"]: each
    for each in (
        sized("deep", 48, depth=6),
        sized("mid-0", 96),
        sized("mid-1", 96),
        sized("text", 96, "gpt2"),
        sized("thin", 48),
        sized("wide", 144),
    )
}


@pytest.fixture
def at(app: Installation) -> AppTest:
    return page("widths", **SMALL)


@pytest.fixture
def keys(at: AppTest, app: Installation) -> list[str]:
    """Of the stored results of the chosen pair: padded, matched."""
    return app.finish(at)


@pytest.fixture
def done(at: AppTest, keys: list[str]) -> AppTest:
    return at.run()


def asked(app: Installation) -> list[tuple[str, ...]]:
    return [(*request.names, request.method) for request in app.requests()]


def test_only_models_that_go_together_are_offered(at):
    at.run()
    assert not at.exception
    narrow, wide = at.selectbox[:2]
    assert len(narrow.options) == 4 and narrow.value == THIN  # three of middle width, and the thin
    assert wide.options == [MIDDLE, "vit-fashion-s1", "vit-fashion-s2", WIDE]
    narrow.set_value(MIDDLE).run()
    assert at.selectbox[1].options == [WIDE]


def test_what_fits_into_what():
    assert fits(KNOWN["thin"], KNOWN["wide"]) and not fits(KNOWN["wide"], KNOWN["thin"])
    assert not fits(KNOWN["mid-0"], KNOWN["mid-1"])  # equal widths
    assert not fits(KNOWN["thin"], KNOWN["text"]) and not fits(KNOWN["deep"], KNOWN["mid-0"])
    assert not fits(sized("x", 48, units=500), KNOWN["mid-0"])  # narrower, with more units
    assert narrow_models(KNOWN) == ["mid-0", "mid-1", "thin"]


def test_all_pairs_have_the_equal_ones_first():
    found = [
        (one["name"], two["name"]) for one, two in all_pairs(KNOWN, (KNOWN["thin"], KNOWN["mid-1"]))
    ]
    assert found == [("mid-1", "mid-0"), ("thin", "mid-1"), ("thin", "wide"), ("mid-1", "wide")]


def test_empty_and_run(at, app):
    at.run()
    assert not at.exception and "Not computed yet: Padded with zeros, By weights." in words(at)
    assert "Once the pair is matched" in words(at)
    assert len(charts(at)) == 2  # the axes of both figures keep their places
    press(at, "Run")
    assert asked(app) == [(THIN, MIDDLE, "none"), (THIN, MIDDLE, "weight")]
    request = app.requests()[1]
    assert (request.split, request.examples, request.points) == ("test", 50, 5)
    assert dict(request.classes)["residual"] == "orthogonal"


def test_run_asks_for_the_pair_and_the_other_button_for_the_rest(at, app, keys):
    app.store.delete(keys[1])
    press(at.run(), "Run")
    assert [job.key for job in app.waiting()] == [keys[1]]
    app.work()
    press(at.run(), "Run the other pairs")
    # those of the chosen pair have their own button
    pairs = [(MIDDLE, "vit-fashion-s1"), (THIN, WIDE), (MIDDLE, WIDE)]
    assert set(asked(app)) == {(*pair, how) for pair in pairs for how in ("none", "weight")}


def test_learned_is_shown_at_first_with_its_steps(app):
    for address, steps in (({}, "300"), ({"steps": "600"}, "600")):
        at = press(page("widths", examples="50", points="5", **address).run(), "Run")
        assert [how for *_, how in asked(app)] == ["none", "weight", "learned"]
        assert dict(app.requests()[2].settings)["steps"] == int(steps)
        assert parameters(at, "ways") == ["weight", "learned"] and parameter(at, "steps") == steps
        press(at, "Cancel")


def test_running_cancel_and_failure(at, app):
    press(at.run(), "Run")
    app.jobs.cancel(app.waiting()[0].key)
    app.begin(0.5, "matching the widths")
    at.run()
    assert progress(at).endswith("By weights: matching the widths")
    press(at, "Cancel")
    app.fail_running("The worker ended in the middle of this run.")
    at.run()
    assert errors(at) == [
        "By weights was not computed. The worker ended in the middle of this run."
    ]


def test_done_shows_curves_facts_widths_places_numbers_and_files(done, app, keys):
    assert not done.exception and len(charts(done)) == 4
    plain, matched = (app.store.get(key).result for key in keys)
    lowest = min(plain, matched, key=lambda result: result["barrier"])
    assert metrics(done) == {
        "Lowest barrier (nats)": estimate(lowest["barrier"], lowest["barrier_stderr"]),
        "Function check": number(matched["function_error"], digits=2),
        "Width in width": "8 in 16",
    }
    assert "rounding level, so it is the same function" in words(done)
    assert list(done.table[0].value.index) == ["8 in 16", "8 in 16"]
    assert files(done) >= {"CSV", "JSON", "HTML", "Places"}
    assert parameter(done, "space") == "units, layer 0" and parameter(done, "view") == "closer"


def test_the_address_restores_everything(app):
    at = page("widths", a=THIN, b=WIDE, ways=["weight"])
    at.query_params.update({"split": "validation", "examples": "50", "points": "5", "view": "all"})
    at.query_params["space"] = "units, layer 1"
    app.finish(at)
    at.run()
    assert not at.exception
    for found in app.store.list():
        request = found.request
        assert request["names"] == [THIN, WIDE] and request["split"] == "validation"
        assert (request["examples"], request["points"]) == (50, 5)
    assert "units of layer 1" in words(at)
    for name, value in (("ways", "weight"), ("view", "all"), ("b", WIDE), ("split", "validation")):
        assert parameter(at, name) == value


def test_what_an_address_may_not_hold_is_dropped(app):
    at = page("widths", a=WIDE, b=THIN, ways="magic", points="2", view="none").run()
    assert not at.exception and not at.error
    assert [each.value for each in at.selectbox[:2]] == [THIN, MIDDLE]
    assert parameter(at, "ways") == "none" and parameter(at, "points") == "11"


def test_without_two_widths(at, no_models):
    at.run()
    assert not at.exception and "different widths" in at.info[0].value


def test_a_server_for_an_audience_has_no_button(at, keys, audience):
    at.run()
    assert not at.exception and len(charts(at)) == 4
    assert not [label for label in buttons(at) if label.startswith(("Run", "Cancel"))]
