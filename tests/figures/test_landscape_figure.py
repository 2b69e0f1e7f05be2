"""Maps and surfaces on their data: colours and their clipping, paths where they belong, what is
unfinished.
"""

from __future__ import annotations

import numpy as np
import pytest

from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.bend import path_labels, path_results, paths_caption, paths_table
from lmc_core.figures.export import standalone_html
from lmc_core.figures.landscape import (
    contour_figure,
    grid_table,
    landscape_alt,
    landscape_caption,
    points_table,
)
from lmc_core.figures.landscape_data import routes
from lmc_core.figures.landscape_surface import TALL, camera, surface_figure
from lmc_core.figures.style import GROUNDS, LOSS_RAMPS, MEANINGS, faint
from tests.figures.landscape_scene import curves, facts, scene


def traces(figure, meta: str) -> list:
    return [trace for trace in figure.data if trace.meta == meta]


def test_colours_are_logarithmic_and_end_at_guessing() -> None:
    figure = contour_figure(scene())
    (contour,) = [trace for trace in figure.data if trace.type == "contour"]
    low, high = scene().limits
    assert high == pytest.approx(np.log(10)) and low == pytest.approx(0.3, rel=0.05)
    assert (contour.zmin, contour.zmax) == pytest.approx((np.log10(low), np.log10(high)))
    # 5 nats are drawn as guessing is
    assert float(np.max(contour.z)) == pytest.approx(np.log10(high))
    whole = scene()
    below = whole.loss < high
    assert np.allclose(np.asarray(contour.z)[below], np.log10(whole.loss[below]))
    assert contour.colorbar.ticktext[-1] == "\u2265 2.30"
    assert "end at 2.30 nats (the loss of guessing)" in landscape_caption(scene())


def test_what_is_below_guessing_is_not_clipped() -> None:
    calm = scene(clip=9.0)
    assert calm.limits[1] == calm.loss.max()
    assert "\u2265" not in contour_figure(calm).data[0].colorbar.ticktext[-1]
    assert "end at" not in landscape_caption(calm)


def test_infinite_losses_far_out_are_drawn_at_the_top() -> None:
    wild = scene()
    wild.loss[0, 0] = np.inf
    assert (
        wild.height[0, 0] == pytest.approx(np.log10(wild.limits[1]))
        and np.isfinite(wild.height).all()
    )


def test_between_points_the_loss_is_bilinear_and_on_them_it_is_theirs() -> None:
    from scipy.interpolate import RegularGridInterpolator

    there = scene()
    reference = RegularGridInterpolator((there.v, there.u), there.loss)
    for u, v in np.random.default_rng(0).uniform([-30, -25], [110, 115], (50, 2)):
        assert (
            there.between(u, v)["loss"] == pytest.approx(float(reference([[v, u]])[0]))
            and there.node(u, v) is None
        )
    for row, column in ((0, 0), (8, 8), (3, 5), (8, 0)):
        at = float(there.u[column]), float(there.v[row])
        assert there.node(*at) == (row, column)
        assert there.between(*at) == {
            "loss": there.loss[row, column],
            "score": there.score[row, column],
        }


def test_nothing_is_interpolated_from_what_is_not_measured() -> None:
    there = scene(measured=2)
    assert np.isnan(there.between(float(there.u[2]) + 1.0, float(there.v[2]))["loss"])
    # its neighbours do not matter
    assert there.between(float(there.u[2]), float(there.v[2]))["loss"] == there.loss[2, 2]


@pytest.mark.parametrize("draw", [contour_figure, surface_figure])
@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
@pytest.mark.parametrize("kind", ["pair", "three", "bend", "random"])
def test_models_and_paths_are_drawn(draw, theme, kind) -> None:
    there = scene(kind)
    paths = routes(there.facts, curves() if kind == "pair" else None)
    figure = draw(there, theme, paths, (12.5, 40.0))
    (models,) = traces(figure, "models")
    assert list(models.x) == [p["u"] for p in there.facts["points"]]
    assert len(paths) == {"pair": 4, "three": 3, "bend": 2, "random": 0}[kind]
    # their loss is not the surface's
    shown = [path for path in paths if not (path.away and draw is surface_figure)]
    assert len(traces(figure, "path")) == len(shown)
    assert {(trace.x[0], trace.y[0]) for trace in traces(figure, "chosen")} == {(12.5, 40.0)}
    assert (
        figure.layout.paper_bgcolor in (None, GROUNDS[theme].paper)
        and "nan" not in str(figure.layout).lower()
    )


def test_paths_lead_from_model_to_model_in_their_colours() -> None:
    paths = routes(facts(), curves())
    assert [path.label for path in paths] == [
        "straight",
        "straight to aligned B",
        "curve",
        "curve to aligned B",
    ]
    for path, end in zip(paths, ((40, 90), (80, 0), (40, 90), (80, 0)), strict=True):
        assert (path.u[0], path.v[0]) == (0, 0) and (path.u[-1], path.v[-1]) == pytest.approx(end)
    drawn = {
        trace.name: trace.line.color
        for trace in traces(contour_figure(scene(), "light", paths), "path")
    }
    band = faint(MEANINGS["bend"].light, 0.55)
    colours = [MEANINGS["plain"].light, MEANINGS["orthogonal"].light, band, band]
    assert drawn == dict(zip([path.label for path in paths], colours, strict=True))
    lines = [trace.name for trace in traces(contour_figure(scene(), "light", paths), "path")]
    assert lines[-2:] == ["straight", "straight to aligned B"]  # above the bands


def test_a_curve_reaches_half_way_to_its_bend() -> None:
    line, curve = routes(facts("bend"))
    middle = len(curve.u) // 2
    control = facts("bend")["points"][2]
    expected = [0.25 * 0 + 0.5 * control["u"] + 0.25 * 80, 0.5 * control["v"]]
    assert [curve.u[middle], curve.v[middle]] == pytest.approx(expected) and not line.away


def test_a_projection_is_called_one() -> None:
    paths = routes(facts(), curves())
    assert "lies outside of this plane, its bend 6.20 from it" in landscape_caption(scene(), paths)
    texts = [
        note.text
        for note in contour_figure(scene(), "light", paths).layout.annotations
        if note.name == "path"
    ]
    assert texts == ["straight", "straight, aligned", "curve", "curve, aligned"]


def test_an_unfinished_plane_is_interpolated_and_says_so() -> None:
    part = scene(n=9, measured=2)
    assert 0 < part.share < 1 and np.isfinite(part.height).all()
    assert np.allclose(part.height[::2, ::2], scene().height[::2, ::2], atol=1e-9)
    between = (part.height[0, 0] + part.height[0, 2]) / 2
    assert part.height[0, 1] == pytest.approx(between, abs=0.15)
    assert "25 of 81 are measured; between them it is interpolated" in landscape_caption(part)
    (grid,) = traces(contour_figure(part), "grid")
    assert len(grid.x) == 25  # nothing else can be clicked
    assert len(grid_table(part).rows) == 25


@pytest.mark.parametrize("kind", ["pair", "random"])
def test_nothing_measured_yet(kind) -> None:
    empty = scene(kind, measured=1)
    for values in (empty.loss, empty.stderr, empty.correct):
        values[:] = np.nan
    assert empty.share == 0 and np.isfinite(empty.height).all()  # from the models' own losses
    assert contour_figure(empty).data and surface_figure(empty).data
    assert "0 of 81" in landscape_caption(empty)


def test_empty_axes_keep_the_place() -> None:
    assert (
        contour_figure(None).layout.height
        == contour_figure(scene()).layout.height
        == surface_figure(None).layout.height
    )
    assert landscape_alt(None) == "Empty axes of a plane between models."


def test_distances_have_one_scale_but_for_a_bend() -> None:
    assert contour_figure(scene()).layout.yaxis.scaleanchor == "x"
    assert contour_figure(scene("bend")).layout.yaxis.scaleanchor is None
    assert "stretched" in landscape_caption(scene("bend"))


def test_ramps_are_monotone_in_lightness() -> None:
    """Low loss is far from the ground and high loss near it, so that the order is there in grey."""
    for theme, ramp in LOSS_RAMPS.items():
        levels = [
            sum(int(colour[i : i + 2], 16) * w for i, w in ((1, 0.3), (3, 0.59), (5, 0.11)))
            for colour in ramp
        ]
        assert levels == sorted(levels, reverse=theme == "dark")


def test_words_for_those_who_do_not_see_it() -> None:
    assert "Losses of the models: A 0.300; B aligned 0.300; B 0.300." in landscape_alt(scene())
    table = points_table(scene())
    assert [row[0] for row in table.rows] == ["A", "B aligned", "B", "lowest of the grid"]
    assert grid_table(scene()).header[-1] == "accuracy" and len(grid_table(scene()).rows) == 81


def test_captions_of_every_kind_name_the_models() -> None:
    assert "Li et al. 2018" in landscape_caption(
        scene("random")
    ) and "Distances" not in landscape_caption(scene("random"))
    assert "vit-fashion-s2 (C)" in landscape_caption(scene("three"))
    assert "Distances from A: B aligned 80.0, B 98.5." in landscape_caption(scene())


def test_soft_matching_is_said_to_be_drawn_at_its_hard_end() -> None:
    assert "drawn at its hard end" in landscape_caption(scene(method="soft"))
    assert "drawn at its hard end" in paths_caption({**curves(), "method": "soft"})
    assert "hard end" not in landscape_caption(scene()) + paths_caption(curves())


def test_paths_are_curves_of_the_figure_of_barriers() -> None:
    results, labels = path_results(curves()), path_labels(curves())
    assert labels == ["Straight line", "Straight line to aligned B", "Curve", "Curve to aligned B"]
    assert [result["method"] for result in results] == ["none", "weight", "bend", "bend"]
    short = path_labels(curves(), short=True)
    assert short == ["Straight", "Straight, aligned", "Curve", "Curve, aligned"]
    figure = barrier_figure(results, "light", short)
    assert [
        note.text
        for note in figure.layout.annotations
        if note.name == "label" and "Curve" in note.text
    ]
    assert "Curve: barrier 0.20 \u00b1 0.02 nats." in paths_caption(curves())
    assert [row[0] for row in paths_table(curves()).rows] == labels


def test_the_page_that_stands_alone_has_the_numbers() -> None:
    text = standalone_html(
        contour_figure(scene()), landscape_caption(scene()), facts(), title="Loss landscape"
    )
    assert "<title>Loss landscape</title>" in text and '"clip"' in text


def in_the_way(whole, eye, place) -> bool:
    """Whether the surface stands between a place and a camera: a slow walk along the line."""
    low, high = (float(np.log10(x)) for x in whole.limits)
    sides = [(axis[0], axis[-1]) for axis in (whole.u, whole.v)]
    scaled = [(p - a) / (b - a) - 0.5 for p, (a, b) in zip(place[:2], sides, strict=True)]
    at = np.array([*scaled, ((place[2] - low) / (high - low) - 0.5) * TALL])
    for share in np.linspace(0.05, 1, 400):
        x, y, z = at + share * (eye - at)
        if max(abs(x), abs(y)) > 0.5:
            return False
        spot = [a + (c + 0.5) * (b - a) for c, (a, b) in zip((x, y), sides, strict=True)]
        if z < ((whole.at(*spot) - low) / (high - low) - 0.5) * TALL:
            return True
    return False


@pytest.mark.parametrize("kind", ["pair", "bend", "three"])
def test_the_camera_sees_every_model(kind) -> None:
    whole = scene(kind)
    eye = np.array([camera(whole)[axis] for axis in "xyz"])
    models = next(trace for trace in surface_figure(whole).data if trace.meta == "models")
    places = list(zip(models.x, models.y, models.z, strict=True))
    assert len(places) == 3
    assert not any(in_the_way(whole, eye, place) for place in places)
    # the check itself can fail: from the side and low, something is hidden behind a wall
    wall = scene(kind)
    wall.loss[:] = np.where(np.arange(len(wall.u))[:, None] == 1, 9.0, wall.loss)
    level = np.array([0.0, -2.0, 0.05])
    hidden = [(p["u"], p["v"], wall.level(p["loss"])) for p in wall.facts["points"]]
    assert any(in_the_way(wall, level, place) for place in hidden)


@pytest.mark.parametrize("kind", ["pair", "bend", "three"])
def test_the_axis_of_the_loss_has_numbers_at_its_left_edge(kind) -> None:
    whole = scene(kind)
    drawn = surface_figure(whole).layout.scene
    *numbers, name = [each for each in drawn.annotations if not each.text.startswith("<b>")]
    assert name.text == "loss" and len(numbers) >= 3
    assert [each.z for each in numbers] == list(drawn.zaxis.tickvals)
    assert 10 ** np.array([each.z for each in numbers]) == pytest.approx(
        [float(each.text) for each in numbers], rel=0.05
    )
    # Plotly would draw the text of a 3D axis as triangles, slowly
    assert not any("".join(axis.ticktext) for axis in (drawn.xaxis, drawn.yaxis, drawn.zaxis))

    # of the four upright edges that one which is furthest to the left, seen from the camera
    eye = np.array([drawn.camera.eye.x, drawn.camera.eye.y])

    def leftward(u: float, v: float) -> float:
        x, y = (
            (at - (axis[0] + axis[-1]) / 2) / np.ptp(axis)
            for at, axis in zip((u, v), (whole.u, whole.v), strict=True)
        )
        return float(np.cross([*eye, 0.0], [x, y, 0.0])[2])

    edges = {(u, v): leftward(u, v) for u in whole.u[[0, -1]] for v in whole.v[[0, -1]]}
    assert {(each.x, each.y) for each in (*numbers, name)} == {min(edges, key=edges.__getitem__)}
