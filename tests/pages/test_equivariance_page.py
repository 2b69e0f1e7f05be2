"""The page Equivariance in every state, with a job layer in memory and results of very short
trainings.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.equivariance.page import controls as equivariance_controls
from lmc_core.equivariance.page import cost as equivariance_cost
from lmc_core.equivariance.page.presets import OWN, PRESETS
from lmc_core.equivariance.run import EquivarianceRequest
from lmc_core.server.app import script
from lmc_core.ui import backend
from tests.pages.equivariance_results import result_of

CLOSER = "Network that is looked at"
FORMS = ["free", "strict", "equality", "resilient"]


class Answers:
    """Requests that the page made, and what is stored for them."""

    def __init__(self, layer: Any):
        self.layer = layer
        self.asked: dict[str, EquivarianceRequest] = {}
        self.arrays: dict[str, Any] = {}
        self.growing: dict[str, Any] = {}

    def finish(self, *forms: str) -> None:
        """Store results for those that were asked for."""
        for key, request in self.asked.items():
            if request.form in (forms or FORMS):
                self.layer.results[key], self.arrays[key] = result_of(request)

    def key(self, form: str, kind: str = "orbit") -> str:
        return next(
            key
            for key, request in self.asked.items()
            if (request.form, request.kind) == (form, kind)
        )


@pytest.fixture
def answers(layer, monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers(layer)
    real = backend.equivariance_of

    def asked(words):
        request = real(words)
        found.asked[request.key] = request
        return request

    monkeypatch.setattr(backend, "equivariance_of", asked)
    monkeypatch.setattr(backend, "arrays", lambda key: found.arrays.get(key, {}))
    monkeypatch.setattr(backend, "unfinished", lambda key: found.growing.get(key))
    return found


@pytest.fixture
def at(answers) -> AppTest:
    return AppTest.from_file(str(script("equivariance")), default_timeout=60)


@pytest.fixture
def done(at, answers) -> AppTest:
    at.run()
    answers.finish()
    return at.run()


def words(at: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*at.markdown, *at.caption, *at.error, *at.info])


def button(at: AppTest, label: str):
    return next(each for each in at.button if each.label == label)


def box(at: AppTest, label: str):
    return next(each for each in at.selectbox if each.label == label)


def pills(at: AppTest, label: str) -> Any:
    return next(each for each in at.get("button_group") if getattr(each, "label", "") == label)


def labels(at: AppTest) -> list[str]:
    return [
        getattr(each, "label", "")
        for kind in ("selectbox", "select_slider", "button_group")
        for each in at.get(kind)
    ]


def parameter(at: AppTest, name: str) -> list[str]:
    value = at.query_params.get(name, [])
    return value if isinstance(value, list) else [value]


def test_empty_says_what_to_do_and_what_it_takes(at, answers):
    at.run()
    assert not at.exception
    assert "Nothing is trained yet with these settings." in words(at)
    assert (
        "Not computed yet: Unconstrained, Strictly equivariant, Equality, c = 2, Resilient, ρ = "
        "0.1. 4 networks" in words(at)
    )
    assert "800\u00a0MB of memory, estimated from the steps" in words(at)
    assert [request.form for request in answers.asked.values()] == FORMS
    assert len(at.get("plotly_chart")) == 1  # empty axes keep the place
    assert not at.header


def test_run_running_and_cancel(at, answers, layer):
    at.run()
    button(at, "Run").click().run()
    assert layer.submitted == [(key, False) for key in answers.asked]
    layer.job(answers.key("free"), "running", 0.5, "training, step 150 of 300")
    at.run()
    assert (
        "Unconstrained: training, step 150 of 300, 50%; 3 more to go"
        in at.get("progress")[0].proto.text
    )
    assert "The first pictures come a second after the training has begun." in words(at)
    button(at, "Cancel").click().run()
    assert set(layer.cancelled) == set(answers.asked)


def test_pictures_grow_while_it_trains(at, answers, layer):
    at.run()
    key = answers.key("equality")
    layer.job(key, "running", 0.3, "training")
    facts, arrays = result_of(answers.asked[key])
    left_out = ("on", "off", "copies", "error_on", "error_off")
    begun = {
        name: array[:2] for name, array in arrays.items() if name.startswith(("trace.", "path."))
    }
    begun["path.share"] = arrays["path.share"]
    answers.growing[key] = (
        {name: value for name, value in facts.items() if name not in left_out},
        begun,
    )
    at.run()
    assert not at.exception
    assert box(at, CLOSER).options == ["The one that is being trained"]
    # the lesson's, the constraint, the phase portrait, the losses
    assert len(at.get("plotly_chart")) == 4
    assert [each.value for each in at.header] == ["While it trained"]


def test_a_finished_run_is_shown_while_the_next_one_trains(at, answers, layer):
    at.run()
    answers.finish("free", "equality")
    layer.job(answers.key("resilient"), "running", 0.1, "training")
    at.run()
    assert not at.exception
    assert box(at, CLOSER).options == [
        "The one that is being trained",
        "Unconstrained",
        "Equality, c = 2",
    ]
    box(at, CLOSER).set_value(answers.key("equality")).run()
    view(at, "copies")
    assert not at.exception and "A merge of moved copies" in [each.value for each in at.header]


def test_failed_is_one_sentence(at, answers, layer):
    at.run()
    layer.job(
        answers.key("free"),
        "failed",
        error="The loss is not finite after 3 steps; lower the learning rate.",
    )
    at.run()
    assert [e.value for e in at.error] == [
        "Unconstrained was not computed. The loss is not finite after 3 steps; lower the learning "
        "rate."
    ]


def view(at: AppTest, name: str) -> AppTest:
    at.session_state["equivariance_view"] = name
    return at.run()


def test_done_shows_the_lesson_and_what_every_network_reaches(done, answers):
    assert not done.exception
    assert [each.value for each in done.header] == ["The way to the projection", "To take away"]
    summary = done.dataframe[0].value
    assert list(summary["Network"]) == [
        "Unconstrained",
        "Strictly equivariant",
        "Equality, c = 2",
        "Resilient, ρ = 0.1",
    ]
    assert list(summary.columns) == list(
        (
            "Network",
            "Loss (nats)",
            "Projected (nats)",
            "Accuracy",
            "Projected",
            "Equivariance error",
            "Time",
        )
    )
    assert summary["Loss (nats)"][1] == summary["Projected (nats)"][1]
    assert summary["Loss (nats)"][0] != summary["Projected (nats)"][0]
    assert box(done, CLOSER).value == answers.key("equality")  # the one that the lesson is about
    assert {each.label for each in done.get("download_button")} >= {
        "CSV",
        "JSON",
        "HTML",
        "Network",
    }
    assert "load_state_dict" in done.code[0].value
    assert len(done.get("plotly_chart")) == 3  # the lesson's, the checkpoints, the plane


@pytest.mark.parametrize(
    ("name", "heading", "charts"),
    [
        # with the lesson's: the constraint, the losses, the phase portrait
        ("training", "While it trained", 4),
        ("price", "What symmetry costs", 3),  # one price is no curve
        ("positions", "One input in all positions", 2),
        ("copies", "A merge of moved copies", 2),
    ],
)
def test_every_section(done, name, heading, charts):
    view(done, name)
    assert not done.exception and heading in [each.value for each in done.header]
    assert len(done.get("plotly_chart")) == charts
    assert parameter(done, "view") == [name]


def test_the_section_of_moved_copies_says_what_the_projection_is(done):
    view(done, "copies")
    assert (
        "The projection is the uniform merge of all copies that the group itself aligns"
        in words(done)
    )
    assert re.search(
        r"Weight matching sends \d+%, activation matching sends \d+% of the hidden units",
        words(done),
    )
    assert [metric.label for metric in done.metric] == [
        "Function check",
        "Merge by the group against P(W)",
    ]


def test_a_network_without_constraint_has_no_constraint_to_show(done, answers):
    view(done, "training")
    box(done, CLOSER).set_value(answers.key("free")).run()
    assert not done.exception and len(done.get("plotly_chart")) == 2
    assert parameter(done, "run") == [answers.key("free")[:8]]


def test_the_run_is_still_the_same_in_another_section(done, answers):
    box(done, CLOSER).set_value(answers.key("free")).run()
    view(done, "price")
    assert CLOSER not in labels(done)
    view(done, "way")
    assert box(done, CLOSER).value == answers.key("free")


@pytest.mark.parametrize("name", PRESETS)
def test_a_lesson_sets_everything(at, answers, name):
    at.run()
    answers.asked.clear()
    box(at, "Lesson").set_value(name).run()
    assert not at.exception and not at.error
    lesson = PRESETS[name]
    assert lesson.title in words(at) and "Changed against the lesson" not in words(at)
    found = {(r.kind, r.form, r.augmented, r.price) for r in answers.asked.values()}
    v = lesson.values
    ways = [("free", 0.0, 0.0)] * ("free" in v["form"]) + [("strict", 0.0, 0.0)] * (
        "strict" in v["form"]
    )
    ways += [("equality", c, 0.0) for c in v["c"]] * ("equality" in v["form"])
    ways += [("resilient", 0.0, rho) for rho in v["rho"]] * ("resilient" in v["form"])
    assert found == {(kind, *way) for kind in v["kind"] for way in ways}
    answers.finish()
    at.run()
    assert not at.exception and parameter(at, "view") == [lesson.section]
    view(at, "training")
    chosen = answers.asked[box(at, CLOSER).value].to_json()
    assert all(chosen[field] == value for field, value in lesson.shown.items())


def test_a_lesson_can_be_changed_and_says_so(at, answers):
    at.run()
    box(at, "Group").set_value("D4").run()
    assert "Changed against the lesson: group." in words(at)
    assert parameter(at, "group") == ["D4"] and parameter(at, "preset") == ["projection"]
    box(at, "Lesson").set_value("rings").run()
    assert box(at, "Group").value == "C4" and "Changed against" not in words(at)


def test_own_settings_keep_what_was_chosen(at):
    at.run()
    box(at, "Group").set_value("mirror").run()
    box(at, "Lesson").set_value(OWN).run()
    assert box(
        at, "Group"
    ).value == "mirror" and "Symmetries of weights leave the function alone" in words(at)


def test_settings_without_use_are_hidden_and_left_out_of_the_address(at, answers):
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


def test_the_address_holds_everything(at, answers):
    asked = {
        "preset": "own", "data": "fashion", "kind": ["upright", "broken"], "group": "mirror", "network": "transformer",
        "form": ["equality", "resilient"], "primal": "0.05", "dual": "0.01", "c": ["0.0", "1.0"], "rho": ["0.3"], "seed": "7",
        "images": "200", "steps": "100", "split": "test",
    }  # fmt: skip
    at.query_params.update(asked)
    at.run()
    assert not at.exception
    assert {name: parameter(at, name) for name in asked} == {
        n: v if isinstance(v, list) else [v] for n, v in asked.items()
    }
    one = next(iter(answers.asked.values()))
    assert (one.source, one.network, one.seed, one.split) == ("fashion", "transformer", 7, "test")
    assert {(r.kind, r.augmented, r.price) for r in answers.asked.values()} == {
        (kind, c, rho)
        for kind in ("upright", "broken")
        for c, rho in ((0.0, 0.0), (1.0, 0.0), (0.0, 0.3))
    }


def test_the_address_brings_the_looked_at_run_back(done, answers):
    key = answers.key("free")
    fresh = AppTest.from_file(str(script("equivariance")), default_timeout=60)
    fresh.query_params["run"] = key[:8]
    fresh.query_params["view"] = "positions"
    fresh.query_params["example"] = "2"
    fresh.run()
    assert box(fresh, CLOSER).value == key and parameter(fresh, "example") == ["2"]
    assert "One input in all positions" in [each.value for each in fresh.header]


def test_nonsense_in_the_address_is_dropped(at):
    at.query_params.update(
        {
            "preset": "x",
            "data": "y",
            "kind": "z",
            "seed": "-1",
            "rho": "ten",
            "run": "../..",
            "layer": "9",
        }
    )
    at.run()
    assert not at.exception and not at.error
    assert (
        parameter(at, "preset") == ["projection"]
        and parameter(at, "kind") == ["orbit"]
        and parameter(at, "rho") == ["0.1"]
    )


def test_a_set_takes_no_convolution(at, answers):
    at.query_params.update({"group": "S3", "network": "convolution"})
    at.run()
    assert not at.exception and not at.error
    assert "A convolution net takes images; a set takes one of these." in words(at)
    assert box(at, "Network").options == ["Perceptron", "Transformer on patches"]
    assert {request.network for request in answers.asked.values()} == {"perceptron"}
    answers.finish()
    at.run()
    assert not at.exception


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
def test_what_cannot_be_is_one_sentence(at, layer, asked, sentence):
    at.query_params.update({"preset": "own", **asked})
    at.run()
    assert not at.exception and len(at.error) == 1 and sentence in at.error[0].value
    assert "Run" not in [each.label for each in at.button] and not layer.submitted
    assert parameter(at, "preset") == ["own"]


def test_nothing_chosen_says_what_to_choose(at):
    at.query_params["form"] = "none"
    at.run()
    assert not at.exception and "at least one kind of data, one form" in words(at)
    assert parameter(at, "form") == ["none"]


def test_results_without_copies_say_so(at, answers, layer):
    at.run()
    answers.finish()
    for result in layer.results.values():
        result.pop("copies", None)
    view(at, "copies")
    assert not at.exception and "does not hold the copies" in words(at)


def test_prices_are_compared_on_one_kind_of_data(at, answers):
    at.query_params.update({"preset": "multiplier"})
    at.run()
    answers.finish()
    view(at, "price")
    assert not at.exception
    assert pills(at, "Data").options and parameter(at, "shown") == ["broken"]


def test_read_only_shows_what_is_stored_and_starts_nothing(at, answers, monkeypatch):
    monkeypatch.setattr(backend, "read_only", lambda: True)
    at.run()
    assert "Not stored on this server" in words(at) and "Nothing is trained yet" not in words(at)
    answers.finish()
    at.run()
    assert not at.exception and len(at.get("plotly_chart")) == 3
    assert "Run" not in [each.label for each in at.button]


def test_what_it_takes_follows_finished_runs(answers):
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
