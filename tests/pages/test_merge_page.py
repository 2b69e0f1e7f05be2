"""The page Merge in each of its states."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.merging.methods import MERGES
from lmc_core.ui.merge_save import suggestion
from lmc_core.ui.merge_view import readout, shared_out
from tests.pages.conftest import Installation
from tests.pages.reading import (
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

RESULTS = {
    result["frame"]: result
    for result in json.loads((Path(__file__).parents[1] / "fixtures" / "merge.json").read_text())
}
TITLES = ["As they are", "Onto one model", "Universe"]
MODELS = ["vit-fashion-s0", "vit-fashion-s1", "vit-fashion-s2"]


@pytest.fixture
def at(app: Installation) -> AppTest:
    return page("merge", frame=["none", "reference", "universe"], examples="50")


@pytest.fixture
def keys(at: AppTest, app: Installation) -> list[str]:
    """Of the stored results, one for each frame."""
    return app.finish(at)


@pytest.fixture
def done(at: AppTest, keys: list[str]) -> AppTest:
    return at.run()


def test_empty_and_run(at, app):
    at.run()
    assert not at.exception and f"Not computed yet: {', '.join(TITLES)}. " in words(at)
    assert "of memory, estimated" in words(at)
    press(at, "Run")
    found = app.requests()
    assert [r.method for r in found] == ["none", "reference", "universe"]
    assert all(list(r.names) == MODELS and r.examples == 50 for r in found)
    assert [name for name, _ in found[0].merges] == list(MERGES) and not found[0].ancestor


def test_only_models_of_one_family_and_size_are_offered(at):
    at.run()
    models = at.pills(key="merge_models")
    assert models.options == MODELS and "cannot be averaged with these" in words(at)
    at.selectbox(key="merge_group").set_value("gpt2-austen-s0").run()
    assert not at.exception
    assert at.pills(key="merge_models").value == [
        "gpt2-austen-s0",
        "gpt2-plays-s0",
        "gpt2-plays-s1",
    ]
    at.pills(key="merge_models").set_value(["gpt2-plays-s0"]).run()
    assert "Choose two to eight models" in at.info[0].value


def test_what_is_missing_runs_is_cancelled_and_fails(at, app, keys):
    for key in keys[1:]:
        app.store.delete(key)
    press(at.run(), "Run")
    assert [job.key for job in app.waiting()] == keys[1:]
    app.begin(0.5, "measuring: TIES")
    at.run()
    assert "% of 2 reference frames" in progress(at)
    assert "Onto one model: measuring: TIES" in progress(at)
    press(at, "Cancel")
    assert app.jobs.get(keys[1]).cancel and app.jobs.get(keys[2]).state == "cancelled"
    app.fail_running("The memory did not suffice for this run; ask for fewer examples or points.")
    at.run()
    assert errors(at)[0].startswith("Onto one model was not computed. The memory did not suffice")


def test_done(done):
    assert not done.exception
    values = metrics(done)
    assert "10" in values["Function check"] and "\u00b1" in values["Best merged (nats)"]
    for part in ("band spans", "assumes a common ancestor", "15 bins"):
        assert part in words(done), part
    assert len(charts(done)) == 1 + 3 + 3  # dots, triangles, matrices
    table = done.table[1].value
    merged = len(MERGES) - 1
    assert list(table["Frame"])[:3] == ["\u2013"] * 3 and len(table) == 3 + 3 * merged + 1
    assert "SLERP" in table.index and "TIES *" in table.index
    assert files(done) >= {"CSV", "JSON", "HTML"}
    assert headers(done) == [
        "Between three models",
        "Between every two models",
        "Save a merged model",
        "Carry a fine-tuning over",
    ]


def test_quantities(done):
    for value in ("score", "ece"):
        done.segmented_control(key="merge_quantity").set_value(value).run()
        assert not done.exception


def test_read_only_shows_what_is_stored_and_no_button(at, app, keys, audience):
    app.store.delete(keys[2])
    at.run()
    assert not at.exception
    assert "Not stored on this server, which only shows what is: Universe." in words(at)
    assert not {"Run", "Save", "Run again"} & set(buttons(at)) and not {
        "Save a merged model",
        "Carry a fine-tuning over",
    } & set(headers(at))


def test_saving(done, app):
    which = done.selectbox(key="merge_save_which")
    assert len(which.options) == 3 * (len(MERGES) - 1)
    assert not any("ensemble" in each for each in which.options) and which.value in which.options
    done.text_input[0].set_value("mine").run()
    press(done, "Save")
    (request,) = app.requests()
    assert request.save == "mine" and len(request.merges) == 1
    app.begin(0.2, "measuring vit-fashion-s0")
    done.run()
    assert "Stop saving" in buttons(done)
    (app.home / "models" / "mine").mkdir(parents=True)  # the model is there before its numbers are
    done.run()
    assert "Stop saving" in buttons(done) and "already" not in words(done)
    (app.home / "models" / "mine").rmdir()
    app.fail_running("Not now.")
    done.run()
    press(done, "Save again")
    app.work()
    done.run()
    assert "Saved as **mine**" in words(done) and str(app.home) not in done.success[0].value
    assert (app.home / "models" / "mine" / "config.json").is_file()
    assert "mine" in page("merge").run().pills(key="merge_models").options
    (app.home / "models" / "taken").mkdir()
    done.text_input[0].set_value("taken").run()
    assert "There is a model named taken already" in words(done)
    done.text_input[0].set_value("../up").run()
    assert "letters, digits" in errors(done)[-1]


def test_the_address_restores_everything_and_is_written(app):
    at = page("merge", models=["vit-fashion-s2", "vit-fashion-s0"], frame=["learned"])
    at.query_params.update({"merge": ["ties", "average"], "steps": "600", "weights": "0.25,0.75"})
    at.query_params.update({"set": ["ties.density=0.5", "ties.scale=oops"]})
    at.query_params.update({"base": "zoo:vit-fashion-s1", "symmetries": "permutations"})
    at.query_params.update({"split": "validation", "examples": "200"})
    press(at.run(), "Run")
    (request,) = app.requests()
    assert request.names[:2] == ("vit-fashion-s2", "vit-fashion-s0") and request.ancestor
    assert request.method == "universe" and dict(request.settings)["steps"] == 600
    ties = dict(dict(request.merges)["ties"])
    assert set(dict(request.merges)) == {"average", "ties"} and ties["density"] == 0.5
    assert request.weights == (0.25, 0.75)
    assert (request.models[2], request.split, request.examples) == (
        "zoo:vit-fashion-s1",
        "validation",
        200,
    )
    classes = dict(request.classes)
    assert classes["residual"] == "permutation" and classes["query-key"] == "none"
    assert parameters(at, "set") == ["ties.density=0.5"]
    assert parameter(at, "weights") == "0.25,0.75"
    assert parameters(at, "models") == ["vit-fashion-s2", "vit-fashion-s0"]


def test_what_an_address_may_not_hold_is_dropped(at):
    at.query_params.update({"models": ["nobody", "gpt2-plays-s0"], "frame": ["sky"]})
    at.query_params.update({"merge": ["blend"], "weights": "x"})
    at.run()
    assert not at.exception and not at.error
    assert len(parameters(at, "frame")) > 3 and not parameters(at, "merge")


def test_without_models(at, no_models):
    at.run()
    assert "Merging needs two models" in at.info[0].value


def test_sliders_share_what_is_left():
    assert shared_out([0.2, 0.2, 0.6], 0, 0.6) == [0.6, 0.1, 0.3]
    assert shared_out([1.0, 0.0, 0.0], 0, 0.5) == [0.5, 0.25, 0.25]
    for changed in range(3):
        for value in (0.0, 0.01, 0.33, 1.0):
            found = shared_out([0.34, 0.33, 0.33], changed, value)
            assert found[changed] == value and sum(found) == pytest.approx(1) and min(found) >= 0


def test_the_readout_is_exact_at_measured_points():
    result = RESULTS["none"]
    table = readout([result], [1.0, 0.0, 0.0])
    row = table.iloc[0]
    assert (
        row["Loss between the points (nats)"] == row["Loss there (nats)"]
        and row["Nearest measured weights"] == "1.00, 0.00, 0.00"
    )


def test_names_that_are_proposed():
    names = ("vit-fashion-s0", "vit-fashion-s2")
    made = SimpleNamespace(names=names, count=2)
    assert suggestion(made, "ties", "universe") == "vit-fashion-ties-universe"
    assert (
        suggestion(SimpleNamespace(names=("alpha", "beta"), count=2), "average", "none")
        == "average"
    )
