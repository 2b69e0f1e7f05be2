"""The page Experts in every state."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.numbers import estimate, number
from tests.pages.conftest import Installation
from tests.pages.reading import (
    buttons,
    charts,
    errors,
    files,
    metrics,
    page,
    parameter,
    press,
    progress,
    words,
)

SMALL = {"examples": "16", "points": "5"}


@pytest.fixture
def at(app: Installation) -> AppTest:
    return page("experts", **SMALL)


@pytest.fixture
def key(at: AppTest, app: Installation) -> str:
    return app.finish(at)[0]


@pytest.fixture
def done(at: AppTest, key: str) -> AppTest:
    return at.run()


def test_empty_says_what_to_do_and_offers_mixtures_alone(at, app):
    at.run()
    assert not at.exception and [len(each.options) for each in at.selectbox[:2]] == [2, 2]
    assert "Not computed yet: All orders." in words(at) and len(charts(at)) == 1
    assert "42 orders of 5 points: about " in words(at)
    press(at, "Run")
    (request,) = app.requests()
    assert request.names == ("mixtral-plays-s0", "mixtral-plays-s1")
    assert (request.what, request.split, request.examples, request.points, request.task) == (
        "orders",
        "test",
        16,
        5,
        "plays",
    )
    assert dict(request.classes)["experts"] == "permutation"
    assert dict(request.classes)["residual"] == "orthogonal" and request.method == "weight"


def test_running_cancel_and_failure(at, app):
    press(at.run(), "Run")
    job = app.begin(0.25, "measuring the loss of every order")
    at.run()
    assert progress(at).startswith("25%")
    assert "All orders: measuring the loss of every order" in progress(at)
    press(at, "Cancel")
    app.jobs.stopped(job.key, job.worker)
    at.run()
    assert "Cancelled. Still to compute" in words(at)
    press(at, "Run")
    app.fail("The worker ended in the middle of this run.")
    at.run()
    assert errors(at) == [
        "All orders was not computed. The worker ended in the middle of this run."
    ]


def test_done_shows_fan_ranks_costs_routing_numbers_and_files(done, app, key):
    assert (
        not done.exception
        and "The result is stored; it was computed on" in words(done)
        and len(charts(done)) == 5
    )
    found = app.store.get(key)
    assert found is not None
    fan = found.result["fans"][-1]
    barrier = {
        name: estimate(fan["barrier"][index], fan["barrier_stderr"][index])
        for name, index in fan["named"].items()
    }
    assert metrics(done) == {
        "Exact order (nats)": barrier["exact"],
        "As numbered (nats)": barrier["naive"],
        "Function check": number(found.result["function_error"], digits=2),
    }
    assert "all 6 orders of the 3 experts of layer 0" in words(done)
    assert ("layer 0", "As numbered") in done.table[0].value.index
    assert files(done) >= {"CSV", "JSON", "HTML", "NPZ"}
    assert parameter(done, "layer") == "experts.0" and parameter(done, "order") == "exact"


def test_the_address_restores_everything(app):
    at = page("experts", a="mixtral-plays-s1", b="mixtral-plays-s0", rest="experts", layer="all")
    at.query_params.update({"split": "validation", "examples": "16", "points": "5"})
    at.query_params["order"] = "router"
    (key,) = app.finish(at)
    at.run()
    found = app.store.get(key)
    assert found is not None and not at.exception
    asked = found.request
    assert asked["names"] == ["mixtral-plays-s1", "mixtral-plays-s0"]
    assert (asked["split"], asked["examples"], asked["points"]) == ("validation", 16, 5)
    classes = dict(asked["classes"])
    assert classes["residual"] == "none" and classes["units"] == "permutation"
    assert "joint orders" in words(at)
    assert parameter(at, "layer") == "all" and parameter(at, "order") == "router"


def test_activation_matching_is_offered_and_shows_its_own_order(app):
    at = page("experts", **SMALL, method="activation", layer="all", order="found")
    app.finish(at)
    at.run()
    assert not at.exception and "aligned by activation matching" in words(at)
    index = at.table[0].value.index
    assert ("all layers", "Activation matching as it is") in index
    assert any(layer == "layer 0" and "activations" in order for layer, order in index)
    assert parameter(at, "method") == "activation" and parameter(at, "order") == "found"
    by = next(c for c in at.segmented_control if c.label == "Aligned by")
    assert "Maps that are learned fit the one order" in by.help


def test_an_order_that_a_result_lacks_is_not_kept(at, key):
    at.query_params["order"] = "found"
    at.run()
    assert not at.exception and parameter(at, "order") == "exact"


def test_an_address_survives_until_there_is_a_result(at):
    at.query_params.update({"layer": "experts.1", "order": "gram"})
    at.run()
    assert parameter(at, "layer") == "experts.1" and parameter(at, "order") == "gram"


def test_what_an_address_may_not_hold_is_dropped(at, key):
    at.query_params.update({"a": "gpt2-plays-s0", "rest": "nothing", "split": "train"})
    at.query_params.update({"layer": "experts.9", "order": "random"})
    at.run()
    assert not at.exception and not at.error and parameter(at, "a") == "mixtral-plays-s0"
    assert parameter(at, "layer") == "experts.0" and "The result is stored" in words(at)
    at = page("experts", points="6").run()
    assert parameter(at, "points") == "9"


def test_without_mixtures(at, no_models):
    at.run()
    assert not at.exception and "two mixtures of experts" in at.info[0].value


def test_a_server_for_an_audience_has_no_button(at, app, key, audience):
    at.run()
    assert not at.exception and len(charts(at)) == 5
    app.store.delete(key)
    other = page("experts", **SMALL).run()
    assert "Not stored on this server" in words(other)
    for each in (at, other):
        assert not set(buttons(each)) & {"Run", "Run again", "Cancel"}
