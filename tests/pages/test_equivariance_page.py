"""The page Equivariance in every state."""

from __future__ import annotations

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.equivariance import run as measured
from lmc_core.equivariance import tracing
from lmc_core.equivariance.numbers import EquivarianceRequest
from lmc_core.equivariance.page import controls as equivariance_controls
from lmc_core.equivariance.page import cost as equivariance_cost
from lmc_core.equivariance.page.presets import OWN, PRESETS
from lmc_core.runs.partial import Unfinished
from tests.pages.conftest import Installation
from tests.pages.reading import (
    box,
    buttons,
    charts,
    errors,
    files,
    headers,
    metrics,
    page,
    parameter,
    parameters,
    press,
    progress,
    words,
)

CLOSER = "Network that is looked at"
FORMS = ["free", "strict", "equality", "resilient"]
LABELS = ["Unconstrained", "Strictly equivariant", "Equality, c = 2", "Resilient, ρ = 0.1"]
SHORT = {"steps": "100", "images": "50"}


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer points of planes and paths, and fewer records of a training: what the page shows of
    them is the same, and networks are measured for longer than they are trained.
    """
    for name, value in {"SIDE": 5, "ROWS": 80, "SHARES": 7}.items():
        monkeypatch.setattr(measured, name, value)
    monkeypatch.setattr(tracing, "RECORDED", 20)


@pytest.fixture
def at(app: Installation) -> AppTest:
    return page("equivariance", **SHORT)


@pytest.fixture
def keys(at: AppTest, app: Installation) -> dict[str, str]:
    """Form -> key of its stored run."""
    return dict(zip(FORMS, app.finish(at), strict=True))


@pytest.fixture
def done(at: AppTest, keys: dict[str, str]) -> AppTest:
    return at.run()


def pills(at: AppTest, label: str) -> Any:
    return next(each for each in at.get("button_group") if getattr(each, "label", "") == label)


def labels(at: AppTest) -> list[str]:
    return [
        getattr(each, "label", "")
        for kind in ("selectbox", "select_slider", "button_group")
        for each in at.get(kind)
    ]


def view(at: AppTest, name: str) -> AppTest:
    at.session_state["equivariance_view"] = name
    return at.run()


def test_empty_says_what_to_do_and_what_it_takes(at, app):
    at.run()
    assert not at.exception and f"Not computed yet: {', '.join(LABELS)}. 4 networks" in words(at)
    assert "800\u00a0MB of memory, estimated from the steps" in words(at)
    assert len(charts(at)) == 1 and not at.header  # empty axes keep the place
    press(at, "Run")
    assert [request.form for request in app.requests()] == FORMS
    assert all((r.steps, r.examples) == (100, 50) for r in app.requests())


def test_running_and_cancel(at, app):
    press(at.run(), "Run")
    app.begin(0.5, "training, step 150 of 300")
    at.run()
    assert progress(at).startswith("12% of 4 networks")
    assert "Unconstrained: training, step 150 of 300" in progress(at)
    assert "The first pictures come a second after the training has begun." in words(at)
    press(at, "Cancel")
    assert not app.waiting() and all(job.cancel for job in app.jobs.active())


def test_pictures_grow_while_it_trains(at, app, keys):
    found = app.store.get(keys["equality"])
    left_out = ("on", "off", "copies", "error_on", "error_off")
    facts = {name: value for name, value in found.result.items() if name not in left_out}
    arrays = found.arrays()
    begun = {n: array[:2] for n, array in arrays.items() if n.startswith(("trace.", "path."))}
    begun["path.share"] = arrays["path.share"]
    for key in keys.values():
        app.store.delete(key)
    press(at.run(), "Run")
    for form in ("free", "strict"):
        app.jobs.cancel(keys[form])
    app.begin(0.3, "training")
    Unfinished(keys["equality"]).write(facts, begun, now=True)
    at.run()
    assert not at.exception and box(at, CLOSER).options == ["The one that is being trained"]
    # the lesson's, the constraint, the phase portrait, the losses
    assert len(charts(at)) == 4 and headers(at) == ["Training"]


def test_a_finished_run_is_shown_while_the_next_one_trains(at, app, keys):
    for form in ("strict", "resilient"):
        app.store.delete(keys[form])
    press(at.run(), "Run")
    app.begin(0.1, "training")
    at.run()
    assert not at.exception
    assert box(at, CLOSER).options == ["The one that is being trained", LABELS[0], LABELS[2]]
    box(at, CLOSER).set_value(keys["equality"]).run()
    view(at, "copies")
    assert not at.exception and "A merge of moved copies" in headers(at)


def test_failed_is_one_sentence(at, app):
    press(at.run(), "Run")
    app.fail("The loss is not finite after 3 steps; lower the learning rate.")
    press(at, "Cancel")
    assert errors(at) == [
        "Unconstrained was not computed. The loss is not finite after 3 steps; lower the learning "
        "rate."
    ]


def test_done_shows_the_lesson_and_what_every_network_reaches(done, keys):
    assert not done.exception
    assert headers(done) == ["The way to the projection", "Downloads"]
    summary = done.dataframe[0].value
    assert list(summary["Network"]) == LABELS
    assert list(summary.columns) == [
        "Network",
        "Loss (nats)",
        "Projected (nats)",
        "Accuracy",
        "Projected",
        "Equivariance error",
        "Time",
    ]
    assert summary["Loss (nats)"][1] == summary["Projected (nats)"][1]
    assert summary["Loss (nats)"][0] != summary["Projected (nats)"][0]
    assert box(done, CLOSER).value == keys["equality"]  # the one that the lesson is about
    assert files(done) >= {"CSV", "JSON", "HTML", "Network"}
    assert "load_state_dict" in done.code[0].value
    assert len(charts(done)) == 3  # the lesson's, the checkpoints, the plane


@pytest.mark.parametrize(
    ("name", "heading", "count"),
    [
        # with the lesson's: the constraint, the losses, the phase portrait
        ("training", "Training", 4),
        ("price", "What symmetry costs", 3),  # one price is no curve
        ("positions", "One input in all positions", 2),
        ("copies", "A merge of moved copies", 2),
    ],
)
def test_every_section(done, name, heading, count):
    view(done, name)
    assert not done.exception and heading in headers(done)
    assert len(charts(done)) == count
    assert parameter(done, "view") == name


def test_the_section_of_moved_copies_says_what_the_projection_is(done):
    view(done, "copies")
    said = re.search(r"Weight matching sends \d+%, activation matching sends \d+%", words(done))
    assert said and list(metrics(done)) == ["Function check", "Merge by the group against P(W)"]


def test_a_network_without_constraint_has_no_constraint_to_show(done, keys):
    view(done, "training")
    box(done, CLOSER).set_value(keys["free"]).run()
    assert not done.exception and len(charts(done)) == 2
    assert parameter(done, "run") == keys["free"][:8]


def test_the_run_is_still_the_same_in_another_section(done, keys):
    box(done, CLOSER).set_value(keys["free"]).run()
    view(done, "price")
    assert CLOSER not in labels(done)
    view(done, "way")
    assert box(done, CLOSER).value == keys["free"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_lesson_sets_everything(app, name):
    at = page("equivariance").run()
    box(at, "Lesson").set_value(name).run()
    assert not at.exception and not at.error
    lesson = PRESETS[name]
    assert lesson.title in words(at) and "Changed against the lesson" not in words(at)
    press(at, "Run")
    v = lesson.values
    ways = [(form, 0.0, 0.0) for form in ("free", "strict") if form in v["form"]]
    ways += [("equality", c, 0.0) for c in v["c"]] * ("equality" in v["form"])
    ways += [("resilient", 0.0, rho) for rho in v["rho"]] * ("resilient" in v["form"])
    found = [(r.kind, r.form, r.augmented, r.price) for r in app.requests()]
    assert set(found) == {(kind, *way) for kind in v["kind"] for way in ways}
    assert all((r.steps, r.examples) == (v["steps"], v["images"]) for r in app.requests())


@pytest.mark.parametrize("name", PRESETS)
def test_a_lesson_shows_the_run_that_it_is_about(app, name):
    at = page("equivariance", preset=name, **SHORT)
    lesson = PRESETS[name]
    press(at.run(), "Run")
    requests = app.requests()
    about = next(
        r for r in requests if all(r.to_json()[k] == value for k, value in lesson.shown.items())
    )
    app.store_results([about, next(r for r in requests if r.key != about.key)])
    press(at, "Cancel")
    at = page("equivariance", preset=name, **SHORT).run()
    assert not at.exception and parameter(at, "view") == lesson.section
    view(at, "training")
    chosen = app.store.get(box(at, CLOSER).value).request
    assert all(chosen[field] == value for field, value in lesson.shown.items())


def test_a_lesson_can_be_changed_and_says_so(app):
    at = page("equivariance").run()
    box(at, "Group").set_value("D4").run()
    assert "Changed against the lesson: group." in words(at)
    assert parameter(at, "group") == "D4" and parameter(at, "preset") == "projection"
    box(at, "Lesson").set_value("rings").run()
    assert box(at, "Group").value == "C4" and "Changed against" not in words(at)


def test_own_settings_keep_what_was_chosen(at):
    at.run()
    box(at, "Group").set_value("mirror").run()
    box(at, "Lesson").set_value(OWN).run()
    assert box(
        at, "Group"
    ).value == "mirror" and "Symmetries of weights leave the function alone" in words(at)


def test_settings_without_use_are_hidden_and_left_out_of_the_address(at):
    at.query_params.update({"preset": "own", "form": ["free", "strict"]})
    at.run()
    assert not {"Primal rate", "Dual rate", "Augmented term c", "Prices ρ of asymmetry"} & set(
        labels(at)
    )
    assert not {"primal", "dual", "c", "rho"} & set(at.query_params)
    pills(at, "Networks").set_value(["resilient"]).run()
    assert {"Primal rate", "Prices ρ of asymmetry"} <= set(
        labels(at)
    ) and "Augmented term c" not in labels(at)


def test_the_address_holds_everything(app):
    asked = {
        "preset": ["own"],
        "data": ["fashion"],
        "kind": ["upright", "broken"],
        "group": ["mirror"],
        "network": ["transformer"],
        "form": ["equality", "resilient"],
        "primal": ["0.05"],
        "dual": ["0.01"],
        "c": ["0.0", "1.0"],
        "rho": ["0.3"],
        "seed": ["7"],
        "images": ["200"],
        "steps": ["100"],
        "split": ["test"],
    }
    at = press(page("equivariance", **asked).run(), "Run")
    assert {name: parameters(at, name) for name in asked} == asked
    found = app.requests()
    for r in found:
        assert (r.source, r.network, r.seed, r.split) == ("fashion", "transformer", 7, "test")
    assert {(r.kind, r.augmented, r.price) for r in found} == {
        (kind, c, rho)
        for kind in ("upright", "broken")
        for c, rho in ((0.0, 0.0), (1.0, 0.0), (0.0, 0.3))
    }


def test_the_address_brings_the_looked_at_run_back(at, keys):
    at.query_params.update({"run": keys["free"][:8], "view": "positions", "example": "2"})
    at.run()
    assert box(at, CLOSER).value == keys["free"] and parameter(at, "example") == "2"
    assert "One input in all positions" in headers(at)


def test_nonsense_in_the_address_is_dropped(app):
    wrong = {"preset": "x", "data": "y", "kind": "z", "seed": "-1", "rho": "ten", "layer": "9"}
    at = page("equivariance", **wrong, run="../..").run()
    assert not at.exception and not at.error
    assert [parameter(at, name) for name in ("preset", "kind", "rho")] == [
        "projection",
        "orbit",
        "0.1",
    ]


def test_a_set_takes_no_convolution(at, app):
    at.query_params.update({"group": "S3", "network": "convolution", "form": "strict"})
    app.finish(at)
    at.run()
    assert not at.exception and not at.error and len(charts(at)) > 1
    assert "A convolution net takes images; a set takes one of these." in words(at)
    assert box(at, "Network").options == ["Perceptron", "Transformer on patches"]
    assert {found.request["network"] for found in app.store.list()} == {"perceptron"}


def test_clothing_makes_no_sets(at):
    at.query_params.update({"data": "fashion", "group": "S4"})
    at.run()
    assert not at.exception and all(
        not option.startswith("S") for option in box(at, "Group").options
    )


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            {"form": "resilient", "rho": "0.01", "dual": "0.1"},
            "The dual rate is expected to be at most the price rho = 0.01",
        ),
        (
            {
                "kind": ["orbit", "partly", "broken", "upright"],
                "rho": ["0.03", "0.1", "0.3", "1.0", "3.0"],
            },
            "are the most at a time",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(at, app, asked, sentence):
    at.query_params.update({"preset": "own", **asked})
    at.run()
    assert not at.exception and len(at.error) == 1 and sentence in errors(at)[0]
    assert "Run" not in buttons(at) and not app.jobs.path.exists()
    assert parameter(at, "preset") == "own"


def test_nothing_chosen_says_what_to_choose(at):
    at.query_params["form"] = "none"
    at.run()
    assert not at.exception and "at least one kind of data, one form" in words(at)
    assert parameter(at, "form") == "none"


def test_results_without_copies_say_so(at, app, keys):
    for key in keys.values():
        found = app.store.get(key)
        older = {name: value for name, value in found.result.items() if name != "copies"}
        request = EquivarianceRequest.from_json(found.request)
        app.store.put(request, older, found.arrays(), replace=True)
    view(at, "copies")
    assert not at.exception and "does not hold the copies" in words(at)


def test_prices_are_compared_on_one_kind_of_data(at, app):
    at.query_params["preset"] = "multiplier"
    press(at.run(), "Run")
    app.store_results(request for request in app.requests() if request.form == "resilient")
    press(at, "Cancel")
    view(at, "price")
    assert not at.exception
    assert pills(at, "Data").options and parameter(at, "shown") == "broken"


def test_read_only_shows_what_is_stored_and_starts_nothing(at, app, keys, audience):
    at.run()
    assert not at.exception and len(charts(at)) == 3 and "Run" not in buttons(at)
    app.store.delete(keys["free"])
    other = page("equivariance", **SHORT).run()
    assert "Not stored on this server" in words(other)
    assert "Nothing is trained yet" not in words(other) and "Run" not in buttons(other)


def test_what_it_takes_follows_finished_runs():
    request = EquivarianceRequest(steps=200)
    guess = equivariance_cost.expected([request], {})
    known = equivariance_cost.expected([request], {("perceptron", "digits", "C4", True): 0.1})
    assert not guess.measured and known.measured
    assert known.seconds == pytest.approx(equivariance_cost.START + 20)
    longer = equivariance_cost.expected([EquivarianceRequest(steps=200, network="transformer")], {})
    assert longer.seconds > guess.seconds


def test_every_lesson_stays_within_the_most():
    for name, lesson in PRESETS.items():
        wanted = equivariance_controls.Choice(name, lesson.values).wanted()
        assert 2 <= len(wanted) <= 8
        assert re.fullmatch(r"[^.]+", lesson.title)
