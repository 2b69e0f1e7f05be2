"""The page Landscape in every state."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.figures.landscape import UNREADABLE
from lmc_core.numbers import estimate, number
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.partial import Unfinished
from lmc_core.ui import catalogue, landscape_point
from lmc_core.ui.landscape_controls import Choice, make_requests
from lmc_core.ui.setting import PLAIN, Setting, all_classes
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
    press,
    progress,
    slider,
    words,
)

STEPS = landscape_point.STEPS
SMALL = {"plane": "pair", "resolution": "9", "examples": "100", "curves": "100"}
EXACT = "Evaluate exactly here"


@pytest.fixture
def at(app: Installation) -> AppTest:
    return page("landscape", **SMALL)


@pytest.fixture
def plane(at: AppTest, app: Installation) -> str:
    """Key of the stored plane; the curves are stored too."""
    return app.finish(at)[0]


@pytest.fixture
def done(at: AppTest, plane: str) -> AppTest:
    return at


def arrays(app: Installation, key: str) -> dict[str, np.ndarray]:
    found = app.store.get(key)
    assert found is not None
    return found.arrays()


def begin(app: Installation, key: str, every: int) -> None:
    """Take the result of a plane away, all but every so-many-th point along both axes."""
    found = app.store.get(key)
    assert found is not None
    content = found.arrays()
    for name in ("loss", "stderr", "correct"):
        kept = np.full_like(content[name], np.nan)
        kept[::every, ::every] = content[name][::every, ::every]
        content[name] = kept
    app.store.delete(key)
    Unfinished(key).write(found.result, content, now=True)


def loss(at: AppTest) -> str:
    return metrics(at)["Loss (nats)"]


def test_empty_says_what_to_do(at, app):
    at.run()
    assert not at.exception and "Not computed yet: Plane, Curved paths." in words(at)
    assert "81 points and 200 steps of training: about" in words(at)
    assert len(charts(at)) == 1  # empty axes
    press(at, "Run")
    drawn, curves = app.requests()
    assert (drawn.what, curves.what) == ("plane", "bend")
    assert drawn.names == ("vit-fashion-s0", "vit-fashion-s1") and drawn.task == "fashion-mnist"
    assert (drawn.kind, drawn.resolution, drawn.examples) == ("pair", 9, 100)
    assert dict(drawn.classes)["residual"] == "orthogonal" and curves.steps == 100


def test_it_begins_with_the_plane_in_which_the_bend_lies(app):
    at = page("landscape").run()
    assert not at.exception and parameter(at, "plane") == "bend"
    press(at, "Run")
    assert [request.kind for request in app.requests() if request.what == "plane"] == ["bend"]


def test_soft_matching_says_which_end_is_drawn(at):
    at.query_params["method"] = "soft"
    at.run()
    assert not at.exception and "Soft matching is drawn at its hard end" in words(at)


def test_running_and_cancel(at, app):
    press(at.run(), "Run")
    app.begin(0.25, "measuring 17 × 17 points on 500 examples")
    at.run()
    assert "% of " in progress(at)
    assert "Plane: measuring 17 × 17 points on 500 examples" in progress(at)
    press(at, "Cancel")
    assert not app.waiting() and all(job.cancel for job in app.jobs.active())


def test_what_is_there_is_drawn_while_it_runs(at, app, plane):
    begin(app, plane, 4)
    press(at.run(), "Run")
    app.begin(0.1, "measuring")
    at.query_params["at"] = "0.25,0.3"
    at.run()
    assert not at.exception and "9 of 81 are measured" in words(at)


def test_what_is_cancelled_stays(at, app, plane):
    begin(app, plane, 2)
    press(at.run(), "Run")
    press(at, "Cancel")
    assert "Cancelled. Still to compute: Plane." in words(at) and "Run" in buttons(at)
    assert "25 of 81 are measured" in words(at) and "Nothing is computed yet" not in words(at)


def test_failed_is_one_sentence(at, app):
    press(at.run(), "Run")
    app.fail("The worker ended in the middle of this run.")
    press(at, "Cancel")
    assert errors(at) == ["Plane was not computed. The worker ended in the middle of this run."]


def test_done_shows_map_point_paths_numbers_and_files(done):
    done.run()
    assert not done.exception and len(charts(done)) == 2
    assert "vit-fashion-s0 (A), vit-fashion-s1 (B)" in words(done)
    assert set(metrics(done)) == {"Loss (nats)", "Accuracy"}
    paths = ["Straight line", "Straight line to aligned B", "Curve", "Curve to aligned B"]
    assert list(done.table[0].value.index) == paths
    assert list(done.table[1].value.index) == ["A", "B aligned", "B", "lowest of the grid"]
    assert files(done) >= {"CSV", "JSON", "HTML"} and headers(done) == ["Along the paths"]


def test_the_point_moves_by_slider_and_lives_in_the_address(done):
    done.run()
    start = loss(done)
    slider(done, "Across").set_value(STEPS).run()
    assert loss(done) != start
    done.run()
    at_column, at_row = (float(part) for part in (parameter(done, "at") or "").split(","))
    assert at_row == 1.0 and 0 < at_column < 1


def test_the_address_brings_the_point_back(done):
    done.query_params["at"] = "0,1"
    done.run()
    assert (slider(done, "Along").value, slider(done, "Across").value) == (0, STEPS)


def test_on_a_point_of_the_grid_the_loss_is_the_measured_one(done, app, plane):
    done.query_params["at"] = "0.25,0.5"
    done.run()
    grid = arrays(app, plane)
    assert loss(done) == estimate(float(grid["loss"][4, 2]), float(grid["stderr"][4, 2]))
    assert "A point of the grid" in words(done) and EXACT not in buttons(done)


def test_between_points_it_is_interpolated_and_can_be_evaluated(done, app, plane):
    done.query_params["at"] = "0.3125,0.5"  # half way between two columns
    done.run()
    grid = arrays(app, plane)
    middle = float((grid["loss"][4, 2] + grid["loss"][4, 3]) / 2)
    assert loss(done) == f"≈ {number(middle)}"
    assert "Interpolated between measured points" in words(done)
    press(done, EXACT)
    (request,) = app.requests()
    assert request.what == "point"
    u, v = (
        float(grid[axis][0] + share * np.ptp(grid[axis]))
        for axis, share in (("u", 0.3125), ("v", 0.5))
    )
    assert (request.u, request.v) == pytest.approx((u, v))
    assert "Cancel this point" in buttons(done)
    (key,) = app.work()
    done.run()
    point = app.store.get(key)
    assert point is not None
    assert loss(done) == estimate(point.result["loss"], point.result["stderr"])
    assert "Evaluated exactly here, on 100 examples." in words(done)
    assert f"it looks like {number(middle)}." in words(done) and EXACT not in buttons(done)


def test_a_failed_evaluation_is_one_sentence(done, app):
    done.query_params["at"] = "0.3125,0.5"
    press(done.run(), EXACT)
    app.fail("The worker ended in the middle of this run.")
    done.run()
    assert errors(done) == [
        "This point was not computed. The worker ended in the middle of this run."
    ]


def test_an_audience_sees_what_was_evaluated_and_no_button(done, app, plane, monkeypatch):
    done.query_params["at"] = "0.3125,0.5"
    app.finish(page("landscape", **SMALL, at="0.3125,0.5"), EXACT)
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    done.run()
    assert not done.exception and "Evaluated exactly here" in words(done)
    assert not done.button and len(charts(done)) == 2
    slider(done, "Along").set_value(STEPS // 3).run()
    assert loss(done).startswith("≈") and not done.button
    other = page("landscape", **SMALL | {"resolution": "17"}).run()
    assert "Not stored on this server, which only shows what is: Plane." in words(other)


def test_the_place_survives_the_address_exactly(done):
    done.run()
    slider(done, "Along").set_value(127).run()
    chosen = done.session_state["landscape_at"]
    fresh = page("landscape", **SMALL, at=parameter(done, "at") or "").run()
    assert fresh.session_state["landscape_at"] == chosen == (chosen[0], 127 / 128)


@pytest.mark.parametrize("nonsense", ["", "x,y", "2,0", "0.5", "nan,nan"])
def test_nonsense_in_the_address_is_dropped(at, nonsense):
    changes = {"at": nonsense, "plane": "round", "resolution": "1000", "view": "film"}
    at.query_params.update(changes)
    at.run()
    assert not at.exception and parameter(at, "plane") == "bend"
    assert parameter(at, "resolution") == "17" and "landscape_at" not in at.session_state


def test_the_surface(done):
    done.query_params["view"] = "surface"
    done.run()
    assert not done.exception and len(charts(done)) == 2 and parameter(done, "view") == "surface"


def test_random_directions_need_one_model_and_nothing_aligned(app):
    at = page("landscape", **SMALL | {"plane": "random", "seed": "3", "span": "0.5"})
    press(at.run(), "Run")
    (request,) = app.requests()
    assert (request.method, request.kind, request.seed, request.span, request.names) == (
        "none",
        "random",
        3,
        0.5,
        ("vit-fashion-s0",),
    )
    app.work()
    at.run()
    assert "Method" not in [each.label for each in at.selectbox]
    assert parameter(at, "curves") is None and "Two random directions" in words(at)


def test_three_models(app):
    at = page("landscape", **SMALL | {"plane": "three"})
    app.finish(at)
    at.run()
    assert not at.exception and parameter(at, "c") == "vit-fashion-s2"
    assert list(at.table[0].value.index)[:3] == ["A", "B aligned", "C aligned"]


def test_no_third_model(at):
    at.query_params.update({"plane": "three"})
    at.run()
    at.selectbox[0].set_value("vit-fashion-narrow-s0").run()
    assert not at.exception and "needs a third of the same family and size" in words(at)


def test_curves_can_be_left_out(app):
    at = page("landscape", **SMALL | {"curves": "none"})
    app.finish(page("landscape", **SMALL))
    at.run()
    assert not at.exception and len(charts(at)) == 1 and not headers(at)


def test_a_plane_that_cannot_be_is_one_sentence(at):
    at.query_params["method"] = "none"
    at.run()
    assert not at.exception and len(at.error) == 1 and "needs a method that aligns" in errors(at)[0]


def test_without_models(at, no_models):
    at.run()
    assert "ships no models" in at.info[0].value


def test_a_plane_without_a_finite_loss_is_said(at, app, plane):
    found = app.store.get(plane)
    assert found is not None
    grid, request = found.arrays(), request_from_json(found.request)
    for value in (float("nan"), float("inf")):
        loss = np.full_like(grid["loss"], value)
        app.store.put(request, found.result, {**grid, "loss": loss}, replace=True)
        at.run()
        assert not at.exception and UNREADABLE in words(at)


def test_requests_of_every_kind_of_plane(app):
    known = catalogue.models()
    rows = [known[f"vit-fashion-s{seed}"] for seed in range(3)]
    how = all_classes(catalogue.find_largest(rows[0]))

    def make(count: int, setting: Setting, choice: Choice):
        return make_requests(rows[:count], setting, choice, "fashion-mnist")

    plane, bend = make(2, how, Choice("pair", 9, "test", 100, steps=100))
    assert (plane.kind, plane.resolution, bend.steps) == ("pair", 9, 100)
    assert bend.learn == 8000 and plane.learn is None
    plane, bend = make(3, how, Choice("three", 9, "test", 100))
    assert plane.digests == tuple(row["digest"] for row in rows) and bend is None
    plane, bend = make(1, PLAIN, Choice("random", 9, "test", 100, seed=4, span=2.0))
    assert (plane.names, plane.seed, plane.span) == (("vit-fashion-s0",), 4, 2.0)
    assert plane.method == "none" and bend is None
    plane, bend = make(2, PLAIN, Choice("bend", 9, "test", 100, steps=300))
    assert plane.steps == 300 == bend.steps and plane.learn == bend.learn == 8000
