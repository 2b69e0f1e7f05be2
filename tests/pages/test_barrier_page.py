"""The page Barrier in every state."""

import json
import re
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.figures.barrier import barrier_figure
from lmc_core.numbers import estimate, number
from lmc_core.runs.partial import Unfinished, ship
from lmc_core.symmetry.spaces import KINDS
from lmc_core.ui import backend, barrier_view
from tests.pages.conftest import Installation
from tests.pages.reading import (
    box,
    button,
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
    slider,
    words,
)

CLASSES = ("residual", "units", "heads", "query-key", "value-output")
PERMUTATIONS = (
    "weight.residual-permutation.units-permutation.heads-permutation.query-key-none."
    "value-output-none"
)
SETTINGS = ["Plain average", "Permutations only", "All classes"]


@pytest.fixture
def at(app: Installation) -> AppTest:
    return page("barrier", examples="50", points="5")


@pytest.fixture
def keys(at: AppTest, app: Installation) -> list[str]:
    """Of the stored results that the page asks for."""
    return app.finish(at)


@pytest.fixture
def done(at: AppTest, keys: list[str]) -> AppTest:
    return at.run()


def asked(app: Installation) -> list[tuple]:
    """What identifies the settings of the requests that wait."""
    return [(r.method, dict(r.classes), r.split, r.examples, r.points) for r in app.requests()]


def test_empty(at, app):
    at.run()
    assert not at.exception and not app.store.list()
    assert f"Not computed yet: {', '.join(SETTINGS)}." in words(at)
    assert len(charts(at)) == 1  # the axes keep the place
    assert "estimated from examples" in words(at) and "of memory" in words(at)


def test_models_are_listed_by_name_and_width_and_score_are_said_below(at):
    at.run()
    assert {"vit-fashion-s0", "gpt2-plays-s0"} <= {*at.selectbox[0].options}
    said = "A: width 16 \u00b7 accuracy 89\\.3%  \nB: width 16 \u00b7 accuracy 89\\.3%"
    assert said in [each.value for each in at.caption]
    at.selectbox[0].set_value("gpt2-plays-s0").run()
    assert any(each.value.startswith("A: width 16 \u00b7 perplexity 4\\.12") for each in at.caption)


def test_run_asks_for_what_is_missing_and_draws_it(at, app):
    keys = app.finish(at)
    missing = keys[2]
    app.store.delete(missing)
    press(at.run(), "Run")
    assert [job.key for job in app.waiting()] == [missing] and not app.waiting()[0].fresh
    assert "Cancel" in buttons(at) and "Run" not in buttons(at)
    assert app.work() == [missing]
    at.run()
    assert not at.exception and list(at.table[0].value.index) == SETTINGS
    assert "Run again" in buttons(at) and not at.get("progress")


def test_what_arrives_while_the_page_is_read_is_shown(at, app, monkeypatch):
    press(at.run(), "Run")
    asked, jobs = [job.key for job in app.waiting()], backend.jobs

    def read_after_the_last_has_ended(keys):
        app.work()
        return jobs(keys)

    monkeypatch.setattr(backend, "jobs", read_after_the_last_has_ended)
    at.run()
    assert "Run again" in buttons(at) and not app.waiting()
    assert "All 3 curves are stored" in words(at)
    app.store.delete(asked[0])  # a result that is gone is no reason to look for ever
    assert "All 3 curves are stored" not in words(at.run())


def test_running_says_what_and_how_far_and_cancels(at, app):
    press(at.run(), "Run")
    running = app.begin(0.5, "measuring the loss on 2000 examples")
    at.run()
    said = re.fullmatch(
        r"(\d+)% of 3 curves, less than 5 s left\. "
        "Plain average: measuring the loss on 2000 examples",
        progress(at),
    )
    assert said and 5 < int(said[1]) < 45 and at.get("progress")[0].proto.value == int(said[1])
    press(at, "Cancel")
    assert app.jobs.get(running.key).cancel and not app.waiting()
    app.jobs.stopped(running.key, running.worker)
    at.run()
    assert app.states() == {"cancelled"} and "Cancelled. Still to compute" in words(at)


def test_a_waiting_run_says_how_many_come_first(at, app):
    first, second, third = app.finish(at)
    app.store.delete(third)
    press(page("barrier", examples="200", points="5").run(), "Run")
    press(at.run(), "Run")
    assert "All classes: waiting, 3 before this one" in progress(at)


def test_failure_is_one_sentence_and_can_be_run_again(at, app):
    missing = app.finish(at)[2]
    app.store.delete(missing)
    press(at.run(), "Run")
    app.fail("The worker ended in the middle of this run.")
    at.run()
    assert errors(at) == [
        "All classes was not computed. The worker ended in the middle of this run."
    ]
    press(at, "Run again")
    assert [job.key for job in app.waiting()] == [missing]


def test_done_shows_figure_numbers_check_and_downloads(done, app, keys):
    assert not done.exception
    results = [app.store.get(key).result for key in keys]
    lowest = min(results[1:], key=lambda result: result["barrier"])
    label, check = metrics(done)
    assert label == "Lowest barrier (nats)" and metrics(done)[label].startswith(
        estimate(lowest["barrier"], lowest["barrier_stderr"])
    )
    assert metrics(done)[check] == number(max(r["function_error"] for r in results[1:]), digits=2)
    assert "rounding level" in words(done)
    table = done.table[0].value
    assert list(table.index) == SETTINGS
    share = results[2]["barrier"] / results[0]["barrier"]
    assert table.loc["All classes", "Of plain"] == f"{share:.0%}"
    assert files(done) >= {"CSV", "JSON", "HTML"}
    drawn = charts(done)
    assert all(f"{name}: " in drawn[0] for name in SETTINGS)
    assert [alt.startswith("Objective of") for alt in drawn] == [False, True, True]


def test_run_again_computes_freshly(done, app):
    press(done, "Run again")
    assert len(app.waiting()) == 3 and all(job.fresh for job in app.waiting())


def test_incompatible_models_are_one_sentence(at):
    at.query_params["b"] = "gpt2-plays-s0"
    at.run()
    assert not at.exception and len(at.error) == 1
    assert all(name in errors(at)[0] for name in ("vit-fashion-s0", "gpt2-plays-s0", "family"))


def test_another_family_brings_its_own_partner(at):
    at.run()
    at.selectbox[0].set_value("gpt2-plays-s0").run()
    assert [each.value for each in at.selectbox[1:]] == ["gpt2-austen-s0", "weight", "plays", 0]


def test_models_can_be_measured_on_another_task_of_their_kind(at):
    at.query_params.update({"a": "gpt2-plays-s0", "task": "austen"})
    at.run()
    task = box(at, "Measured on")
    assert task.options[:2] == ["plays", "austen"] and task.value == "austen"
    assert parameter(at, "task") == "austen"
    at.selectbox[0].set_value("vit-fashion-s0").run()
    task = box(at, "Measured on")
    assert task.options == ["fashion-mnist"] and task.value == "fashion-mnist"
    assert not at.error


def test_the_address_restores_everything(at, app):
    at.query_params.update({"a": "vit-fashion-s2", "b": "vit-fashion-s0", "split": "validation"})
    at.query_params.update({"residual": "permutation", "query-key": "none", "with": [PERMUTATIONS]})
    press(at.run(), "Run")
    assert [each.value for each in at.selectbox] == [
        "vit-fashion-s2",
        "vit-fashion-s0",
        "weight",
        "fashion-mnist",
        0,
    ]
    permuted = dict(zip(CLASSES, [*["permutation"] * 3, "none", "none"], strict=True))
    assert asked(app) == [
        ("none", {}, "validation", 50, 5),
        ("weight", permuted, "validation", 50, 5),
        ("weight", permuted | {"value-output": "invertible"}, "validation", 50, 5),
    ]


def test_what_an_address_may_not_hold_is_dropped(at, app):
    at.query_params.update({"a": "nobody", "units": "invertible", "points": "2"})
    at.query_params["with"] = ["nonsense", "weight.units-invertible"]
    press(at.run(), "Run")
    assert at.selectbox[0].value == "vit-fashion-s0"
    assert [points for *_, points in asked(app)] == [25, 25]


def test_the_address_is_written(at):
    at.run()
    assert parameter(at, "a") == "vit-fashion-s0" and parameters(at, "with") == [PERMUTATIONS]
    at.button(key="barrier_remove_0").click().run()
    assert parameter(at, "with") == "none"


def test_settings_are_kept_and_removed(at):
    at.run()
    at.button(key="barrier_keep").click().run()
    assert at.button(key="barrier_keep").disabled
    removing = at.button(key="barrier_remove_0").label  # a picture of a cross, with a name
    assert removing.startswith("![Remove Permutations only from the figure](data:image/svg")
    assert all(buttons(at))  # an icon alone is called after its file, whatever it does
    at.button(key="barrier_remove_0").click().run()
    assert "Permutations only" not in [each.value for each in at.markdown]
    at.button(key="barrier_add_permutations").click().run()
    assert parameters(at, "with")[-1] == PERMUTATIONS


def test_without_models(at, no_models):
    at.run()
    assert "ships no models" in at.info[0].value


def test_a_refusal_is_one_sentence(at, app):
    at.run()
    shutil.rmtree(app.jobs.path, ignore_errors=True)
    app.home.mkdir(exist_ok=True)
    app.jobs.path.write_text("where the folder of the table should be")
    button(at, "Run").click().run()
    assert not at.exception and all("table of jobs" in error for error in errors(at))
    assert at.error and str(app.home) not in errors(at)[0]


def test_the_first_partner_has_the_same_sizes(at):
    """A narrow model comes earlier in the alphabet, and there is no line to it."""
    at.run()
    assert "vit-fashion-narrow-s0" in at.selectbox[1].options
    assert [each.value for each in at.selectbox[:2]] == ["vit-fashion-s0", "vit-fashion-s1"]
    at.selectbox[0].set_value("gpt2-plays-s0").run()
    assert at.selectbox[1].value == "gpt2-austen-s0"


def test_learning_can_be_given_a_time_in_place_of_steps(at, app):
    at.query_params.update({"method": "learned", "seconds": "60", "with": "none"})
    press(at.run(), "Run")
    assert parameter(at, "seconds") == "60" and parameter(at, "steps") is None
    chosen = app.requests()[-1]
    assert dict(chosen.settings) == {"seconds": 60.0}
    assert slider(at, "Steps").disabled and not slider(at, "Time to learn").disabled


def test_a_method_that_learns_has_steps_and_an_address(at, app):
    at.query_params.update({"method": "learned", "steps": "600", "with": "none"})
    press(at.run(), "Run")
    assert box(at, "Method").value == "learned" and slider(at, "Steps").value == 600
    assert parameter(at, "steps") == "600" and parameter(at, "method") == "learned"
    chosen = app.requests()[-1]
    assert chosen.method == "learned" and dict(chosen.settings)["steps"] == 600
    assert dict(chosen.classes)["residual"] == "orthogonal"
    box(at, "Method").set_value("weight").run()
    assert not [each for each in at.select_slider if each.label == "Steps"]
    assert parameter(at, "steps") is None


def test_a_curve_with_a_bend_is_asked_for_and_in_the_address(at, app):
    at.query_params.update({"bend": "600", "with": "none"})
    press(at.run(), "Run")
    assert box(at, "Path").value == 600 and parameter(at, "bend") == "600"
    chosen = app.requests()[-1]
    assert chosen.bend == 600 and chosen.method == "weight" and chosen.learn
    box(at, "Method").set_value("joint").run()
    assert not [each for each in at.selectbox if each.label == "Path"]
    assert parameter(at, "bend") is None


def test_a_grid_of_classes_and_methods_becomes_a_queue(at, app):
    at.query_params["with"] = "none"
    at.run()
    at.pills(key="barrier_grid_classes").set_value(["Permutations only", "All classes"]).run()
    at.pills(key="barrier_grid_methods").set_value(["weight", "activation"]).run()
    press(at, "Add 4 curves")
    assert len(parameters(at, "with")) == 4
    press(at, "Run")
    found = [(method, classes.get("residual")) for method, classes, *_ in asked(app)]
    assert found[0] == ("none", None)
    assert set(found[1:]) == {
        (method, residual)
        for method in ("weight", "activation")
        for residual in ("permutation", "orthogonal")
    }
    assert len(found) == 5


def test_both_splits_are_curves_of_their_own(at, app):
    at.query_params["split"] = "test and train"
    press(at.run(), "Run")
    assert [split for _, _, split, *_ in asked(app)] == ["test", "train"] * 3
    assert ". Plain average, test split: " in progress(at)


def test_parts_are_measured_on_demand_and_drawn(done, app):
    press(done, "Measure the parts")
    assert [request.what for request in app.requests()] == ["layers"] * 3
    assert "Stop measuring" in buttons(done)
    first = app.work()[0]
    done.run()
    assert not done.exception
    result = app.store.get(first).result
    cost, part = max(zip(result["cost"], result["parts"], strict=True))
    assert f"Plain average: most for {part}, {number(cost)} nats" in charts(done)[1]
    assert files(done) >= {"CSV"} and "Measure the parts again" in buttons(done)


def test_a_quantity_is_measured_along_the_path_on_demand(done, app):
    assert "Measure along the path" not in buttons(done)
    done.toggle(key="barrier_along").set_value(True)
    done.session_state["barrier_along_quantity"] = "spectra"
    press(done.run(), "Measure along the path")
    asked = app.requests()
    assert [(r.what, r.quantity, r.points) for r in asked] == [("along", "spectra", 5)] * 3
    assert "Stop measuring the path" in buttons(done)
    keys = app.work()
    done.run()
    assert not done.exception and "Measure along the path again" in buttons(done)
    assert "Along the path" in charts(done)[1] and len(keys) == 3
    assert "effective rank" in words(done)
    # images of one task have no other
    assert "Loss on another task" not in str(
        done.segmented_control(key="barrier_along_quantity").options
    )


def test_the_objective_and_what_was_learned_are_drawn_on_demand(at, app):
    at.query_params.update({"method": "learned", "steps": "100", "with": "none"})
    app.finish(at)
    at.run()
    assert not at.exception
    assert len([alt for alt in charts(at) if "Objective of" in alt]) == 1
    assert len([alt for alt in charts(at) if "while learning" in alt]) == 1


def test_an_audience_sees_what_is_stored_and_starts_nothing(at, app, audience):
    missing = app.finish(at)[2]
    app.store.delete(missing)
    at.run()
    assert not at.exception and "Permutations only: " in charts(at)[0]
    assert "Not stored on this server, which only shows what is: All classes." in words(at)
    assert not {"Run", "Run again", "Cancel", "Measure the parts"} & set(buttons(at))
    assert not app.jobs.path.exists() or not app.waiting()


def test_a_curve_is_drawn_on_the_examples_so_far(at, app, keys):
    found = app.store.get(keys[0])
    arrays = found.arrays()
    app.store.delete(keys[0])
    Unfinished(keys[0]).write({**found.result, "there": 200}, arrays, now=True)
    at.run()
    count = len(found.result["lam"])
    assert f"So far: Plain average on 50 of 200 examples at {count} points" in words(at)
    press(at, "Run")
    app.begin(0.25, "measuring the loss on 200 examples")
    at.run()
    assert not at.exception and f"examples at {count} points. The band" in words(at)


def test_what_came_with_the_app_is_there_before_anything_was_run(at, app, keys):
    """An early answer among the app's assets is drawn, and said to be one."""
    found = app.store.get(keys[0])
    Unfinished(keys[0]).write({**found.result, "there": 200}, found.arrays(), now=True)
    assert ship(keys[0], app.assets / "early") > 0
    Unfinished(keys[0]).remove()
    for key in keys:
        app.store.delete(key)
    at.run()
    assert not at.exception and "So far: Plain average on 50 of 200 examples" in words(at)
    assert "Nothing is computed yet" not in words(at) and len(charts(at)) == 1


def test_axes_are_named_and_stay_before_there_is_a_curve(app, monkeypatch):
    """A language model has no accuracy, both models have a name, and an axis that was seen is not
    made narrower by what arrives.
    """
    drawn = []

    def draw(results, theme, labels, height, axes):
        drawn.append(barrier_figure(results, theme, labels, height, axes))
        return drawn[-1]

    monkeypatch.setattr(barrier_view, "barrier_figure", draw)
    at = page("barrier", a="gpt2-plays-s0", b="gpt2-plays-s1", examples="50", points="5")
    at.run()
    assert not at.exception
    said = str([each.text for each in drawn[0].layout.annotations])
    assert "Perplexity" in said and "nats per character" in said and "gpt2-plays-s1" in said
    assert "Accuracy" not in said and "model A" not in said
    first = drawn[0].layout.yaxis.range
    assert first[0] == 0 and 4 < first[1] < 6 and drawn[0].layout.yaxis2.range[0] == 1
    press(at, "Run")
    request = app.requests()[0]
    result = json.loads((app.computed.compute(request) / "result.json").read_text())
    facts = {**result, "there": 50}
    Unfinished(request.key).write(facts, {}, now=True)
    app.begin(0.25, "measuring")
    at.run()
    low, high = drawn[-1].layout.yaxis.range
    assert low <= first[0] and high >= first[1]
    assert any("so far" in str(trace.name) for trace in drawn[-1].data)


def preset(at):
    return next(each for each in at.button_group if each.key == "barrier_preset")


def test_a_preset_chooses_all_classes_at_once(at, app):
    at.query_params["with"] = "none"
    at.run()
    assert preset(at).value == "all"
    preset(at).set_value("permutations").run()
    assert [parameter(at, kind) for kind in CLASSES] == [*["permutation"] * 3, "none", "none"]
    preset(at).set_value("none").run()
    assert parameter(at, "method") == "none" and box(at, "Method").disabled
    preset(at).set_value("all").run()
    assert parameter(at, "query-key") == "invertible" and parameter(at, "method") == "weight"


def test_the_classes_are_shown_for_custom_alone_and_begin_with_those_of_the_preset(at, app):
    at.query_params["with"] = "none"
    at.run()
    shown = [each.key for each in at.button_group]
    assert "barrier_units" not in shown
    preset(at).set_value("permutations").run()
    preset(at).set_value("custom").run()
    classes = {each.key: each.value for each in at.button_group}
    assert [classes[f"barrier_{kind}"] for kind in CLASSES] == [
        *["permutation"] * 3,
        "none",
        "none",
    ]
    residual = next(each for each in at.button_group if each.key == "barrier_residual")
    residual.set_value("orthogonal").run()
    press(at, "Run")
    assert "Permutations with orthogonal residual: " in progress(at) or app.waiting()[-1]
    assert dict(app.requests()[-1].classes)["residual"] == "orthogonal"


def test_a_preset_follows_the_family(at, app):
    """By the lists the same pair gets what a fresh address of it gets."""
    at.query_params["with"] = "none"
    at.run()
    at.selectbox[0].set_value("mixtral-plays-s0").run()
    fresh = page("barrier", a="mixtral-plays-s0", b="mixtral-plays-s1").run()
    kinds = [name for name in fresh.query_params if name in KINDS]
    assert "experts" in kinds and "rotary" in parameters(fresh, "query-key")
    assert {name: parameter(at, name) for name in KINDS} == {
        name: parameter(fresh, name) for name in KINDS
    }


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ({}, "all"),
        ({"method": "none"}, "none"),
        (dict(zip(CLASSES, [*["permutation"] * 3, "none", "none"], strict=True)), "permutations"),
        ({"residual": "permutation"}, "custom"),
        ({"residual": "nonsense"}, "all"),
    ],
)
def test_an_address_says_which_preset_it_is(at, app, address, wanted):
    at.query_params.update(address)
    assert preset(at.run()).value == wanted


def test_the_same_model_twice_is_said_before_a_run(at, app):
    at.query_params["b"] = "vit-fashion-s0"
    at.run()
    assert "A and B are the same model" in at.warning[0].value and not app.waiting()


def test_choosing_b_as_a_lets_them_change_places(at, app):
    at.run()
    at.selectbox[0].set_value("vit-fashion-s1").run()
    assert [each.value for each in at.selectbox[:2]] == ["vit-fashion-s1", "vit-fashion-s0"]
    assert not at.warning
