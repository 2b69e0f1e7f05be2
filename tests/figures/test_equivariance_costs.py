"""Figures of two layers, of what symmetry costs, of one input in its positions, and of moved
copies.
"""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest

from lmc_core.equivariance.figures.copies import (
    LOOKS,
    MERGES,
    copies_caption,
    copies_figure,
    copies_table,
    find_merges,
)
from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.figures.gauge import gauge_figure
from lmc_core.equivariance.figures.levels import find_levels, price_loss_figure
from lmc_core.equivariance.figures.plane import plane_figure, plane_table
from lmc_core.equivariance.figures.price import find_places, price_figure
from lmc_core.equivariance.figures.strip import (
    choose_positions,
    picture,
    strip_caption,
    strip_figure,
    strip_table,
)
from tests.figures.equivariance_run import copies, drawn, named, run, texts


def test_the_map_has_the_first_layer_across():
    each = run()
    figure = plane_figure(each)
    (contour,) = [t for t in figure.data if t.type == "contour"]
    loss = each.arrays["plane.loss"]
    # [up, across] of [first, second]
    np.testing.assert_allclose(np.asarray(contour.customdata)[5, 2], loss[2, 5])
    np.testing.assert_allclose(contour.z, np.log10(loss.T))
    assert (
        "first layer" in figure.layout.xaxis.title.text
        and "second layer" in figure.layout.yaxis.title.text
    )
    (way,) = [t for t in figure.data if t.meta == "way"]
    np.testing.assert_array_equal(way.x, each.trace("gamma")[:, 0])
    np.testing.assert_array_equal(way.y, each.trace("gamma")[:, 1])
    # gamma ends at 0.05
    assert texts(figure, "mark") == ["<b>end, 0 in both</b>", "<b>start, 1 in both</b>"]
    assert texts(plane_figure(run(form="free")), "mark") == [
        "<b>0 in both</b>",
        "<b>start and end</b>",
    ]


def test_a_flat_plane_looks_flat():
    each = run()
    flat = Run(
        "flat", each.facts, {**each.arrays, "plane.loss": np.full((7, 7), 0.4) + 1e-4 * np.eye(7)}
    )
    (contour,) = [t for t in plane_figure(flat).data if t.type == "contour"]
    assert contour.zmax - contour.zmin >= 0.1 - 1e-9


def test_one_layer_has_a_line_for_a_plane():
    each = run(layers=("only",))
    (line,) = [t for t in plane_figure(each).data if t.name == "loss"]
    np.testing.assert_array_equal(line.y, np.diagonal(each.arrays["plane.loss"]))
    assert len(plane_table(each).rows) == 7 and len(plane_table(run()).rows) == 49


def test_points_of_accuracy_against_equivariance():
    runs = [
        run(
            form="resilient",
            price=price,
            error_on=error,
            on={"loss": 0.4, "stderr": 0.1, "accuracy": share},
        )
        for price, error, share in ((1.0, 0.1, 0.8), (0.1, 0.5, 0.9), (0.3, 0.3, 0.85))
    ]
    places = find_places(
        [*runs, run(form="free"), run(form="strict", error_on=1e-7), run(until=300)]
    )
    assert [p.name for p in places] == [
        "\u03c1 = 1", "\u03c1 = 0.1", "\u03c1 = 0.3", "Unconstrained", "Unconstrained, projected", "Strictly equivariant"
    ]  # fmt: skip
    assert (
        [p.projected for p in places].count(True) == 1
        and places[4].accuracy == 0.3
        and places[4].error == 2e-7
    )
    (curve,) = named(price_figure(runs), "resilient, by price")
    np.testing.assert_array_equal(curve.x, [0.5, 0.3, 0.1])  # in the order of rho
    # 1,600 are 400 in four positions
    assert places[0].stderr == pytest.approx(math.sqrt(0.8 * 0.2 / 400))
    (moved,) = find_places([run(kind="broken", form="strict")])
    assert moved.stderr == pytest.approx(math.sqrt(0.9 * 0.1 / 1600))


def test_levels_are_means_over_seeds():
    def scored(loss: float, **own) -> Run:
        return run(on={"loss": loss, "stderr": 0.01, "accuracy": 0.9}, **own)

    runs = [scored(0.3, form="resilient", price=0.1, seed=k) for k in range(2)]
    runs += [
        scored(0.5, form="resilient", price=0.1, seed=2),
        scored(0.4, form="resilient", price=1.0),
        scored(0.6, form="free"),
    ]
    levels = find_levels(runs)
    assert [(v.price, v.runs) for v in levels] == [(0.1, 3), (1.0, 1), (None, 1)]
    assert levels[0].loss == pytest.approx(1.1 / 3)
    assert (
        levels[0].stderr == pytest.approx(np.std([0.3, 0.3, 0.5], ddof=1) / math.sqrt(3))
        and levels[1].stderr == 0.01
    )
    figure = price_loss_figure(runs)
    (ring,) = named(figure, "lowest")
    assert ring.x[0] == 0.1 and figure.layout.xaxis.type == "log"
    assert [s.y0 for s in figure.layout.shapes if s.name == "level free"] == [0.6] and texts(
        figure, "label"
    ) == ["Unconstrained"]


def test_the_gauge_stands_beside_the_multiplier():
    each = run()
    figure = gauge_figure([each])
    (gauge,), (multiplier,) = drawn(figure, what="gauge"), drawn(figure, what="multiplier")
    np.testing.assert_array_equal(gauge.x, np.abs(each.trace("gauge")[-1]))
    np.testing.assert_array_equal(multiplier.x, np.abs(each.trace("multiplier")[-1]))
    exact = Run("e", each.facts, {**each.arrays, "trace.gauge": np.full((13, 3), -2e-17)})
    # what is zero in float64
    assert set(drawn(gauge_figure([exact]), what="gauge")[0].text) == {"0"}
    assert list(figure.layout.yaxis.ticktext) == ["first layer", "second layer", "head"]
    rounding = Run("r", each.facts, {**each.arrays, "trace.gauge": np.full((13, 3), -3e-10)})
    small = gauge_figure([rounding])
    assert (
        list(drawn(small, what="gauge")[0].x) == [0, 0, 0] and small.layout.xaxis.range[1] >= 0.01
    )
    # the number is said all the same
    assert list(drawn(small, what="gauge")[0].text)[0] == "3.0 \u00d7 10\u207b\u00b9\u2070"


def test_gauges_of_runs_with_other_layers_are_left_out():
    figure = gauge_figure([run("a"), run("b", layers=("only",)), run("c")])
    assert [t.name for t in drawn(figure, what="gauge")] == ["a", "c"] and figure.layout.showlegend


def test_the_strip_shows_probabilities_as_they_are():
    each = run()
    figure = strip_figure(each, 1)
    on, off = (t for t in figure.data if t.type == "heatmap")
    np.testing.assert_array_equal(on.z, each.arrays["strip.on"][1].T)
    np.testing.assert_array_equal(off.z, each.arrays["strip.off"][1].T)
    taken = [t for t in figure.data if t.name == "likeliest"]
    np.testing.assert_array_equal(taken[0].y, each.arrays["strip.on"][1].argmax(axis=1))
    assert "<b>8</b>" in figure.layout.yaxis.ticktext and "An 8" in texts(figure, "heading")[-1]
    assert (
        texts(figure, "position") == ["0°", "90°", "180°", "270°"]
        and len(figure.layout.images) == 4
    )


def image_of(address: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))


def test_pictures_are_the_inputs():
    each = run()
    values = np.zeros((4, 4))
    values[0, 3] = 1.0
    drawn = image_of(picture(each, values.ravel(), 0.0, 1.0, "light"))
    # ink at the top right, ground at the bottom left
    assert drawn[2, -3].sum() < 100 < drawn[-3, 2].sum()
    three = run(acts="set", group="S3", group_labels=["123", "132", "213", "231", "312", "321"])
    stacked = image_of(picture(three, np.repeat([0.0, 1.0, 0.0], 16), 0.0, 1.0, "light"))
    middle, top = stacked[stacked.shape[0] // 2, 5], stacked[3, 5]
    assert middle.sum() < 100 < top.sum() and stacked.shape[0] > 2.9 * stacked.shape[1]


def test_of_many_positions_eight_are_shown_from_the_identity():
    each = run(group_labels=[str(k) for k in range(24)], acts="set", group="S4")
    assert choose_positions(each) == [0, 3, 6, 9, 12, 15, 18, 21]
    figure = strip_figure(each, 0)
    np.testing.assert_array_equal(figure.data[0].z, each.arrays["strip.on"][0][::3].T)
    assert "8 of 24 positions" in strip_caption(each, 0) and len(strip_table(each, 0).rows) == 48


def test_copies_show_their_lines_and_merges():
    each = run(copies=copies())
    figure = copies_figure(each)
    for key, look in LOOKS.items():
        (line,) = named(figure, look.name)
        np.testing.assert_array_equal(line.y, copies()["curves"][key]["loss"])
    assert {merge.key: merge.loss for merge in find_merges(each)} == {
        k: v["loss"] for k, v in copies()["merges"].items()
    }
    assert [t.x[0] for t in drawn(figure) if "merge" in t.meta] == [
        copies()["merges"][key]["loss"] for key in MERGES
    ]
    assert texts(figure, "model") == ["<b>network</b>", "<b>copy turned by 90°</b>"]
    assert "by the group</b> 0.60 \u00b1 0.03" in " ".join(texts(figure, "label"))
    assert "first layer 25%" in copies_caption(
        each
    ) and "3.0 \u00d7 10\u207b\u00b9\u2076" in copies_caption(each)
    merge_rows = [row for row in copies_table(each).rows if row[1] is None]
    assert [row[0] for row in merge_rows] == list(MERGES.values())


def test_an_older_result_without_copies_says_so():
    figure = copies_figure(run())
    assert (
        "without moved copies" in texts(figure, "nothing")[0].replace("<br>", " ")
        and not figure.data
    )
    assert "without moved copies" in copies_caption(run()) and "at the end" in copies_caption(
        run(until=300)
    )
    part = {
        **copies(),
        "merges": {},
        "agree": None,
        "group_is_projection": None,
        "function_error": None,
    }
    assert copies_figure(run(copies=part)).data and copies_caption(run(copies=part))
    assert copies_figure(run(copies={"element": "90°"})).layout.annotations[0].name == "nothing"
