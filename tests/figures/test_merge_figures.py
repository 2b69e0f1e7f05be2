"""The figures of merging, on their data."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest

from lmc_core.figures.matrix import largest_barrier, matrix_alt, matrix_caption, matrix_figure
from lmc_core.figures.merge import (
    WIDE,
    collapsed,
    logarithmic,
    merge_alt,
    merge_caption,
    merge_figure,
)
from lmc_core.figures.merge_rows import (
    best_row,
    merged_rows,
    numbers_table,
    people_table,
    single_models,
)
from lmc_core.figures.merge_triangle import (
    HIGH,
    MEASURED,
    find_limits,
    interpolated,
    nearest,
    place,
    triangle_alt,
    triangle_caption,
    triangle_figure,
)
from lmc_core.figures.style import MEANINGS
from lmc_core.numbers import number

TASK = "fashion-mnist"


@pytest.fixture(scope="module")
def results() -> list[dict]:
    return json.loads((Path(__file__).parents[1] / "fixtures" / "merge.json").read_text())


def dots(figure) -> dict:
    return {trace.meta["frame"]: trace for trace in figure.data}


def test_every_dot_is_a_number_of_a_result_with_its_error(results):
    rows = merged_rows(results, TASK)
    groups = collapsed([row for row in rows if row.checkpoint], "loss")
    figure = merge_figure(results, TASK)
    assert list(dots(figure)) == ["none", "reference", "universe"]
    for frame, trace in dots(figure).items():
        own = {row.merge: row.numbers for row in rows if row.frame == frame}
        assert list(trace.x) == [own[names[0]]["loss"] for names, _ in groups]
        assert list(trace.error_x.array) == [own[names[0]]["loss_stderr"] for names, _ in groups]
    heights = sorted(y for trace in figure.data for y in trace.y)
    # no two on one line
    assert all(b - a > 0.1 for a, b in zip(heights, heights[1:], strict=False))


def test_ways_to_merge_that_gave_the_same_share_a_row(results):
    rows = [row for row in merged_rows(results, TASK) if row.checkpoint]
    groups = collapsed(rows, "loss")
    assert sorted(name for names, _ in groups for name in names) == sorted(
        {row.merge for row in rows}
    )
    for names, title in groups:
        assert title.count(", ") == len(names) - 1
        for name in names[1:]:
            one, other = (
                [row.numbers["loss"] for row in rows if row.merge == each]
                for each in (names[0], name)
            )
            assert one == pytest.approx(other, rel=1e-6)
    alike = copy.deepcopy(results)
    for result in alike:
        for row in result["rows"]:
            if row["merge"] == "slerp":
                row["measured"] = result["rows"][0]["measured"]
    assert len(collapsed([r for r in merged_rows(alike, TASK) if r.checkpoint], "loss")) < len(
        groups
    )
    ticks = " ".join(merge_figure(alike, TASK).layout.yaxis.ticktext).replace("<br>", " ")
    assert "average" in ticks and "SLERP" in ticks


def test_the_best_merged_model_is_one_that_was_merged(results):
    alone = copy.deepcopy(results)
    for result in alone:
        for row in result["rows"]:
            if row["merge"] == "soup":
                row["measured"][TASK]["loss"] = 0.0
                row["about"]["kept"] = ["one"]
    found = best_row(alone, TASK)
    assert found is not None and found.merge != "soup"
    for result in alone:
        result["rows"] = [row for row in result["rows"] if row["merge"] == "soup"]
    assert best_row(alone, TASK) is None
    ticks = merge_figure(alone, TASK).layout.yaxis.ticktext
    assert "kept one" in ticks[0].replace("<br>", " ")


def test_the_legend_stands_above_the_dots(results):
    legend = merge_figure(results, TASK).layout.legend
    assert legend.orientation == "h" and legend.y > 1 and legend.yanchor == "bottom"


def test_frames_have_their_colours_and_markers(results):
    for theme in ("light", "dark"):
        found = dots(merge_figure(results, TASK, "loss", theme))
        assert found["none"].marker.color == MEANINGS["plain"].colour(theme)
        assert (
            found["reference"].marker.color
            == found["universe"].marker.color
            == MEANINGS["orthogonal"].colour(theme)
        )
        assert len({trace.marker.symbol for trace in found.values()}) == 3


def test_the_models_are_a_band_and_the_ensemble_a_line(results):
    figure = merge_figure(results, TASK)
    own = [row.numbers["loss"] for row in single_models(results, TASK)]
    band = next(shape for shape in figure.layout.shapes if shape.name == "models")
    assert (band.x0, band.x1) == (min(own), max(own))
    ensemble = next(row for row in merged_rows(results, TASK) if not row.checkpoint)
    line = next(shape for shape in figure.layout.shapes if shape.name == "ensemble")
    assert line.x0 == ensemble.numbers["loss"]


def test_far_apart_values_get_a_logarithmic_axis_that_says_so(results):
    figure = merge_figure(results, TASK)
    assert (
        figure.layout.xaxis.type == "log"
        and "logarithmic axis" in figure.layout.annotations[0].text
    )
    low, high = figure.layout.xaxis.range
    assert 10**low < min(row.numbers["loss"] for row in merged_rows(results, TASK)) < 10**high
    assert merge_figure(results, TASK, "score").layout.xaxis.type != "log"
    assert (
        logarithmic([1, WIDE + 1], "loss")
        and not logarithmic([1, WIDE - 1], "loss")
        and not logarithmic([0, 9], "loss")
    )


def test_values_that_are_not_numbers(results):
    broken = copy.deepcopy(results)
    broken[0]["rows"][0]["measured"][TASK]["loss"] = math.nan
    figure = merge_figure(broken, TASK)
    assert np.isfinite(figure.layout.xaxis.range).all()
    assert best_row(broken, TASK) is not None
    assert not merge_figure([], TASK).data and merge_alt([], TASK)


def test_tables_have_everything(results):
    table = people_table(results, TASK)
    assert len(table.rows) == 3 + 3 * 7 + 1 and all(
        len(row) == len(table.header) for row in table.rows
    )
    found = numbers_table(results).csv().splitlines()
    assert len(found) == 1 + len(table.rows) and found[0].startswith(
        "model,frame,task,split,examples,loss,loss_stderr"
    )


def test_interpolation_agrees_with_a_plane_and_with_the_points(results):
    n = 6
    grid = [[i / n, j / n, (n - i - j) / n] for i in range(n + 1) for j in range(n + 1 - i)]
    plane = {"resolution": n, "weights": grid, "loss": [2 * a - b + 0.5 * c for a, b, c in grid]}
    rng = np.random.default_rng(0)
    for a, b, c in rng.dirichlet([1, 1, 1], 300):
        assert interpolated(plane, "loss", [a, b, c]) == pytest.approx(2 * a - b + 0.5 * c)
    simplex = results[0]["simplex"]
    for row, loss in zip(simplex["weights"], simplex["loss"], strict=True):
        assert interpolated(simplex, "loss", row) == pytest.approx(loss)
    # only the corner: linear down to its neighbours
    bent = {**plane, "loss": [float(a == 1) for a, _, _ in grid]}
    assert interpolated(bent, "loss", [1 - 0.5 / n, 0.5 / n, 0.0]) == pytest.approx(0.5)
    assert interpolated(bent, "loss", [1 - 1 / n, 0.5 / n, 0.5 / n]) == pytest.approx(0)


def test_the_triangle(results):
    limits = find_limits(results)
    figure = triangle_figure(results[0], limits, [0.5, 0.5, 0.0])
    contour, points, chosen = figure.data[0], figure.data[MEASURED], figure.data[-1]
    assert points.name == "measured" and chosen.name == "chosen"
    assert (contour.zmin, contour.zmax) == limits and np.isfinite(contour.z).all()
    assert len(points.x) == len(results[0]["simplex"]["weights"])
    assert (chosen.x[0], chosen.y[0]) == (0.5, 0.0) and place([0, 0, 1]) == (0.5, HIGH)
    assert limits[0] <= min(results[0]["simplex"]["loss"]) and limits[1] >= max(
        results[0]["simplex"]["loss"]
    )
    corners = [note.text for note in figure.layout.annotations if note.name == "corner"]
    assert len(corners) == 3 and "vit-fashion-s0" in corners[0]
    assert nearest(results[0]["simplex"], [0.99, 0.01, 0.0]) == results[0]["simplex"][
        "weights"
    ].index([1.0, 0.0, 0.0])


def test_matrices_share_a_scale_and_show_every_pair(results):
    most = largest_barrier(results)
    for result in results:
        figure = matrix_figure(result, most)
        assert (
            figure.data[0].zmax == most
            and figure.data[0].z[0][1] == result["lines"]["barrier"][0][1]
        )
        assert figure.data[0].z[1][1] is None
        said = figure.data[0].text
        assert said[0][2] == number(result["lines"]["barrier"][0][2], digits=2)
        assert said[1][1] == "" and figure.data[0].texttemplate
    assert most == max(
        v for r in results for row in r["lines"]["barrier"] for v in row if v is not None
    )


def test_captions_say_what_a_paper_must(results):
    caption = merge_caption(results, TASK)
    for part in (
        "vit-fashion-s0, vit-fashion-s1 and vit-fashion-s2",
        "parameters each",
        "test split of fashion-mnist",
        "one standard error",
        "the mean of the models stands in for it",
        "15 bins",
        "largest relative difference",
        "LMC Explorer",
        "Best merged model",
    ):
        assert part in caption, part
    other = [{**results[0], "ancestor": {"name": "base"}}]
    assert "assumes a common ancestor: base." in merge_caption(other, TASK)
    assert "vit-fashion-s0 stands in" in merge_caption([{**results[0], "stand_in": "first"}], TASK)
    assert "Weights of the models: 0.50, 0.25, 0.25." in merge_caption(
        [{**results[0], "weights": [0.5, 0.25, 0.25]}], TASK
    )
    assert "linear" in triangle_caption(results) and "onto one model" in triangle_caption(results)
    assert "3 points inside of each line" in matrix_caption(
        results
    ) or "points inside" in matrix_caption(results)
    assert "nats" in matrix_alt(results[0]) and "largest excess" in triangle_alt(results[0])
