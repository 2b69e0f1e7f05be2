"""The page Landscape in every state, with a job layer in memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.errors import BadInput
from lmc_core.figures.landscape import UNREADABLE
from lmc_core.server.app import script
from lmc_core.ui import backend, landscape_controls, landscape_point
from tests.figures.landscape_scene import arrays, curves, facts

PLANE, CURVES, POINT = "the plane", "the curves", "point {:.6g} {:.6g}"
STEPS = landscape_point.STEPS


@pytest.fixture
def asked(layer, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What the page asks for, written down; keys do not depend on it."""
    found: list[tuple] = []

    def requests_of(models, setting, choice, task):
        found.append(([row["name"] for row in models], setting.text, choice, task))
        if setting.method == "none" and choice.kind == "pair":
            raise BadInput(
                "The plane of A, B and aligned B needs a method that aligns; choose one, or "
                "another kind of plane."
            )
        wanted = choice.kind in landscape_controls.CURVED and choice.steps
        return SimpleNamespace(key=PLANE), SimpleNamespace(key=CURVES) if wanted else None

    monkeypatch.setattr(landscape_controls, "requests_of", requests_of)
    monkeypatch.setattr(landscape_controls, "unfinished", lambda key: None)
    monkeypatch.setattr(
        landscape_point,
        "exact_of",
        lambda plane, chosen: SimpleNamespace(key=POINT.format(*chosen)),
    )
    monkeypatch.setattr(backend, "arrays", lambda key: arrays() if key == PLANE else {})
    return found


@pytest.fixture
def at(asked) -> AppTest:
    return AppTest.from_file(str(script("landscape")), default_timeout=30)


@pytest.fixture
def done(at, layer) -> AppTest:
    layer.results |= {PLANE: facts(), CURVES: curves()}
    return at


def words(at: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*at.markdown, *at.caption, *at.error, *at.info])


def button(at: AppTest, label: str):
    return next(each for each in at.button if each.label == label)


def parameter(at: AppTest, name: str) -> str | None:
    if name not in at.query_params:
        return None
    value = at.query_params[name]
    return value[0] if isinstance(value, list) else value


def test_empty_says_what_to_do(at, asked):
    at.run()
    assert not at.exception
    assert (
        "Not computed yet: Plane, Curved paths. 289 points and 600 steps of training: about "
        "40\u00a0s and 345\u00a0MB" in words(at)
    )
    assert "Nothing is computed yet" in words(at)
    assert len(at.get("plotly_chart")) == 1  # empty axes
    names, setting, choice, task = asked[-1]
    assert names == ["vit-fashion-s0", "vit-fashion-s1"] and task == "fashion-mnist"
    assert setting.startswith("weight.residual-orthogonal") and (
        choice.kind,
        choice.resolution,
    ) == ("pair", 17)


def test_soft_matching_says_which_end_is_drawn(at):
    at.query_params["method"] = "soft"
    at.run()
    assert not at.exception and "Soft matching is drawn at its hard end" in words(at)


def test_run_running_and_cancel(at, layer):
    at.run()
    button(at, "Run").click().run()
    assert layer.submitted == [(PLANE, False), (CURVES, False)]
    layer.job(PLANE, "running", 0.25, "measuring 17 × 17 points on 500 examples")
    at.run()
    assert (
        "Plane: measuring 17 × 17 points on 500 examples, 25%" in at.get("progress")[0].proto.text
    )
    button(at, "Cancel").click().run()
    assert set(layer.cancelled) == {PLANE, CURVES}


def test_what_is_there_is_drawn_while_it_runs(at, layer, monkeypatch):
    monkeypatch.setattr(landscape_controls, "unfinished", lambda key: (facts(), arrays(measured=4)))
    layer.job(PLANE, "running", 0.1, "measuring")
    at.run()
    assert not at.exception
    assert "9 of 81 are measured; between them it is interpolated." in words(at)
    assert "This point is not measured yet." in words(at)


def test_what_is_cancelled_stays(at, layer, monkeypatch):
    monkeypatch.setattr(landscape_controls, "unfinished", lambda key: (facts(), arrays(measured=2)))
    layer.job(PLANE, "cancelled")
    at.run()
    assert "Cancelled. Still to compute: Plane, Curved paths." in words(at)
    assert "25 of 81 are measured" in words(at) and "Nothing is computed yet" not in words(at)
    assert "Run" in [each.label for each in at.button]


def test_failed_is_one_sentence(at, layer):
    layer.job(PLANE, "failed", error="The worker ended in the middle of this run.")
    at.run()
    assert (
        at.error[0].value == "Plane was not computed. The worker ended in the middle of this run."
    )


def test_done_shows_map_point_paths_numbers_and_files(done):
    done.run()
    assert not done.exception
    assert len(done.get("plotly_chart")) == 2
    assert "The plane through vit-fashion-s0 (A), vit-fashion-s1 (B)" in words(done)
    assert {metric.label for metric in done.metric} == {"Loss (nats)", "Accuracy"}
    assert list(done.table[0].value.index) == [
        "Straight line",
        "Straight line to aligned B",
        "Curve",
        "Curve to aligned B",
    ]
    assert list(done.table[1].value.index) == ["A", "B aligned", "B", "lowest of the grid"]
    assert {each.label for each in done.get("download_button")} >= {"CSV", "JSON", "HTML"}


def test_the_point_moves_by_slider_and_lives_in_the_address(done):
    done.run()
    sliders = {each.label: each for each in done.select_slider}
    start = next(m.value for m in done.metric if m.label == "Loss (nats)")
    sliders["Across"].set_value(STEPS).run()
    moved = next(m.value for m in done.metric if m.label == "Loss (nats)")
    assert moved != start
    done.run()
    at_column, at_row = (float(part) for part in (parameter(done, "at") or "").split(","))
    assert at_row == 1.0 and 0 < at_column < 1


def test_the_address_brings_the_point_back(done):
    done.query_params["at"] = "0,1"
    done.run()
    values = {each.label: each.value for each in done.select_slider}
    assert (values["Along"], values["Across"]) == (0, STEPS)


def loss(at: AppTest) -> str:
    return next(metric.value for metric in at.metric if metric.label == "Loss (nats)")


def test_on_a_point_of_the_grid_the_loss_is_the_measured_one(done):
    done.query_params["at"] = "0.25,0.5"
    done.run()
    grid = arrays()
    assert loss(done) == f"{grid['loss'][4, 2]:.2f} ± 0.02" and "A point of the grid" in words(done)
    assert "Evaluate exactly here" not in [each.label for each in done.button]


def test_between_points_it_is_interpolated_and_can_be_evaluated(done, layer):
    done.query_params["at"] = "0.3125,0.5"  # half way between two columns
    done.run()
    grid = arrays()
    middle = (grid["loss"][4, 2] + grid["loss"][4, 3]) / 2
    assert loss(done) == f"≈ {middle:.2f}" and "Interpolated between measured points" in words(done)
    button(done, "Evaluate exactly here").click().run()
    key = POINT.format(-30 + 140 * 0.3125, 45)
    assert layer.submitted == [(key, False)]
    layer.job(key, "running", 0.5, "measuring this point")
    done.run()
    assert "Cancel this point" in [each.label for each in done.button]
    layer.job(key, "done", 1.0)
    layer.results[key] = {"loss": 1.25, "stderr": 0.04, "accuracy": 0.5, "examples": 500}
    done.run()
    assert loss(done) == "1.25 ± 0.04" and "Evaluated exactly here, on 500 examples." in words(done)
    assert f"Between grid points it looks like {middle:.2f}." in words(done)
    assert "Evaluate exactly here" not in [each.label for each in done.button]


def test_a_failed_evaluation_is_one_sentence(done, layer):
    done.query_params["at"] = "0.3125,0.5"
    layer.job(
        POINT.format(-30 + 140 * 0.3125, 45),
        "failed",
        error="The worker ended in the middle of this run.",
    )
    done.run()
    assert (
        done.error[0].value
        == "This point was not computed. The worker ended in the middle of this run."
    )


def test_an_audience_sees_what_was_evaluated_and_no_button(done, layer, monkeypatch):
    monkeypatch.setattr(backend, "read_only", lambda: True)
    done.query_params["at"] = "0.3125,0.5"
    done.run()
    assert loss(done).startswith("≈") and not done.button
    layer.results[POINT.format(-30 + 140 * 0.3125, 45)] = {
        "loss": 1.25,
        "stderr": 0.04,
        "accuracy": 0.5,
        "examples": 500,
    }
    done.run()
    assert loss(done) == "1.25 ± 0.04"


def test_the_place_survives_the_address_exactly(done):
    done.run()
    sliders = {each.label: each for each in done.select_slider}
    sliders["Along"].set_value(127).run()
    key = done.session_state["landscape_at"]
    fresh = AppTest.from_file(str(script("landscape")), default_timeout=30)
    fresh.query_params["at"] = parameter(done, "at") or ""
    fresh.run()
    assert fresh.session_state["landscape_at"] == key == (key[0], 127 / 128)


@pytest.mark.parametrize("nonsense", ["", "x,y", "2,0", "0.5", "nan,nan"])
def test_nonsense_in_the_address_is_dropped(done, nonsense):
    done.query_params.update(
        {"at": nonsense, "plane": "round", "resolution": "1000", "view": "film"}
    )
    done.run()
    assert (
        not done.exception
        and parameter(done, "plane") == "pair"
        and parameter(done, "resolution") == "17"
    )


def test_the_surface(done):
    done.query_params["view"] = "surface"
    done.run()
    assert not done.exception and len(done.get("plotly_chart")) == 2
    assert parameter(done, "view") == "surface"


def test_random_directions_need_one_model_and_nothing_aligned(at, layer, asked):
    at.query_params.update({"plane": "random", "seed": "3", "span": "0.5"})
    layer.results[PLANE] = facts("random")
    at.run()
    assert not at.exception
    names, setting, choice, _ = asked[-1]
    assert setting == "none" and (choice.kind, choice.seed, choice.span, choice.steps) == (
        "random",
        3,
        0.5,
        None,
    )
    assert "Method" not in [box.label for box in at.selectbox]
    assert parameter(at, "curves") is None and "Two random directions" in words(at)


def test_three_models(at, layer, asked):
    at.query_params["plane"] = "three"
    layer.results[PLANE] = facts("three")
    at.run()
    assert not at.exception and asked[-1][0] == [
        "vit-fashion-s0",
        "vit-fashion-s1",
        "vit-fashion-s2",
    ]
    assert parameter(at, "c") == "vit-fashion-s2"


def test_no_third_model(at):
    at.query_params.update({"plane": "three", "a": "gpt2-plays-s0", "b": "gpt2-plays-s1"})
    at.run()
    at.selectbox[0].set_value("vit-fashion-narrow-s0").run()
    assert not at.exception
    assert "needs a third of the same family and size" in words(at)


def test_curves_can_be_left_out(at, layer, asked):
    at.query_params["curves"] = "none"
    layer.results |= {PLANE: facts(), CURVES: curves()}
    at.run()
    assert asked[-1][2].steps is None and len(at.get("plotly_chart")) == 1
    assert "Along the paths" not in [each.value for each in at.subheader]


def test_a_plane_that_cannot_be_is_one_sentence(at):
    at.query_params["method"] = "none"
    at.run()
    assert [error.value for error in at.error] == [
        "The plane of A, B and aligned B needs a method that aligns; choose one, or another kind "
        "of plane."
    ]


def test_read_only_shows_what_is_stored_and_starts_nothing(done, monkeypatch):
    monkeypatch.setattr(backend, "read_only", lambda: True)
    done.run()
    assert not done.exception and len(done.get("plotly_chart")) == 2
    assert not {"Run", "Run again", "Cancel"} & {each.label for each in done.button}


def test_read_only_without_a_result(at, monkeypatch):
    monkeypatch.setattr(backend, "read_only", lambda: True)
    at.run()
    assert "Not stored on this server, which only shows what is: Plane, Curved paths." in words(at)


def test_without_models(at, monkeypatch):
    from lmc_core.ui import catalogue

    monkeypatch.setattr(catalogue, "models", dict)
    at.run()
    assert "ships no models" in at.info[0].value


def test_requests_are_made_of_checked_ones(layer, monkeypatch):
    """The real `requests_of`, on requests of pairs that were checked."""
    from lmc_core.runs.kinds.barrier import BarrierRequest
    from lmc_core.ui.landscape_controls import Choice, requests_of
    from lmc_core.ui.setting import PLAIN, Setting

    def request_of(pair, setting, split, examples, points, task):
        names = tuple(row["name"] for row in pair)
        return BarrierRequest(
            models=names, names=names, digests=tuple(f"d-{name}" for name in names), task=task, split=split,
            examples=examples, method=setting.method, classes=setting.classes,
        )  # fmt: skip

    monkeypatch.undo()
    monkeypatch.setattr(backend, "request_of", request_of)
    rows = [{"name": name} for name in "abc"]
    how = Setting.of("weight", {"units": "permutation"})
    plane, bend = requests_of(
        rows[:2], how, Choice("pair", 9, "test", 100, steps=100), "fashion-mnist"
    )
    assert (plane.kind, plane.names, plane.resolution, bend.steps) == ("pair", ("a", "b"), 9, 100)
    assert bend.learn == 8000 and plane.learn is None
    plane, bend = requests_of(rows, how, Choice("three", 9, "test", 100), "fashion-mnist")
    assert plane.digests == ("d-a", "d-b", "d-c") and bend is None
    plane, bend = requests_of(
        rows[:1], PLAIN, Choice("random", 9, "test", 100, seed=4, span=2.0), "fashion-mnist"
    )
    assert (plane.names, plane.seed, plane.span, plane.method) == (
        ("a",),
        4,
        2.0,
        "none",
    ) and bend is None
    plane, bend = requests_of(
        rows[:2], PLAIN, Choice("bend", 9, "test", 100, steps=300), "fashion-mnist"
    )
    assert plane.steps == 300 == bend.steps and plane.learn == bend.learn == 8000


def test_a_plane_without_a_finite_loss_is_said(at, layer, monkeypatch):
    grid = arrays()
    layer.results |= {PLANE: facts(), CURVES: curves()}
    for loss in (float("nan"), float("inf")):
        monkeypatch.setattr(
            backend,
            "arrays",
            lambda key, loss=loss: {**grid, "loss": np.full_like(grid["loss"], loss)},
        )
        at.run()
        assert not at.exception and UNREADABLE in words(at)
