"""Figures of the orders of experts, on a small result made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmc_core.figures.experts import costs_caption, costs_figure, ranks_figure
from lmc_core.figures.orders import (
    empty_fan,
    fan_caption,
    fan_figure,
    group_name,
    named_orders,
    named_table,
    orders_table,
    spoken_fan,
    way_stroke,
)
from lmc_core.figures.routing import agreement_figure, load_figure, routing_caption
from lmc_core.figures.style import GROUNDS, contrast
from tests.figures.experts_result import by_activations, experts_result


@pytest.fixture
def result() -> dict[str, Any]:
    """Two layers of three experts."""
    return experts_result()


def traces(figure, panel: str) -> list:
    return [trace for trace in figure.data if (trace.meta or {}).get("panel") == panel]


def test_every_order_is_in_the_fan_once(result):
    fan = result["fans"][0]
    figure = fan_figure(result, fan)
    (others,) = traces(figure, "others")
    curves_drawn = "|".join(str(v) for v in others.y).split("None")
    # exact, naive and worst have lines of their own
    assert len([c for c in curves_drawn if c.strip("|")]) == 6 - 3
    assert others.y[:5] == tuple(fan["loss"][1]) and "0 2 1" in others.customdata[0]
    named = {trace.name: tuple(trace.y) for trace in traces(figure, "named")}
    assert set(named) == {"Plain average", "Exact, Gram, router, best", "As numbered", "Worst"}
    assert named["Exact, Gram, router, best"] == tuple(fan["loss"][2]) and named[
        "As numbered"
    ] == tuple(fan["loss"][0])


def test_labels_stand_at_their_lines_without_overlap(result):
    for fan in result["fans"]:
        figure = fan_figure(result, fan, height=480)
        labels = [a for a in figure.layout.annotations if a.name == "label"]
        assert [label.y for label in labels] == pytest.approx(
            [2.0 + 1.0, *(1.0 + fan["barrier"][i] for i, _ in reversed(named_orders(fan)))]
        )
        low, high = figure.layout.yaxis.range
        scale = (480 - 36 - 56) / (high - low)
        heights = sorted((label.y - low) * scale - label.ay for label in labels)
        assert min(np.diff(heights)) >= 30 - 1e-6


def test_all_fans_share_one_scale(result):
    assert len({tuple(fan_figure(result, fan).layout.yaxis.range) for fan in result["fans"]}) == 1


def test_ways_that_differ_have_their_own_lines(result):
    assert named_orders(result["fans"][1]) == [
        (4, ("exact",)),
        (3, ("gram", "best")),
        (1, ("router",)),
        (0, ("naive", "worst")),
    ]
    names = {trace.name for trace in traces(fan_figure(result, result["fans"][1]), "named")}
    assert names == {"Plain average", "Exact", "Gram, best", "Router", "As numbered, worst"}
    assert group_name(("best",), every=True) == "Best of each"


def test_ranks_hold_every_order_in_its_row(result):
    figure = ranks_figure(result)
    every = figure.data[0]
    assert (
        len(every.x) == 6 + 6 + 4
        and list(every.y) == ["Layer 0"] * 6 + ["Layer 1"] * 6 + ["All layers"] * 4
    )
    marks = {trace.name: list(trace.x) for trace in figure.data[1:]}
    assert marks["exact"] == [0.2, 0.2, 0.2] and marks["as numbered"] == [0.5, 0.9, 1.0]


def test_costs_have_their_assignment_framed_and_one_scale_a_kind(result):
    figure = costs_figure(result)
    assert [trace.meta for trace in figure.data][:2] == [
        {"layer": 0, "kind": "router"},
        {"layer": 1, "kind": "router"},
    ]
    for trace in figure.data:
        mixture = result["mixtures"][trace.meta["layer"]]
        assert np.allclose(np.array(trace.z, dtype=float), mixture["costs"][trace.meta["kind"]])
        frames = [s for s in figure.layout.shapes if s.xref == trace.xaxis]
        centres = {(round((s.y0 + s.y1) / 2), round((s.x0 + s.x1) / 2)) for s in frames}
        assert centres == set(enumerate(mixture["orders"][trace.meta["kind"]]))
    limits = {(trace.meta["kind"], trace.zmin, trace.zmax) for trace in figure.data}
    assert len(limits) == 3
    single = costs_figure(result, [1])
    assert len(single.data) == 3 and single.data[0].texttemplate


def test_costs_without_exact_ones(result):
    for mixture in result["mixtures"]:
        del mixture["costs"]["exact"]
    assert {trace.meta["kind"] for trace in costs_figure(result).data} == {"router", "gram"}


def test_agreement_is_the_mean_over_layers(result):
    figure = agreement_figure(result)
    lines = {(trace.meta["way"], trace.meta["side"]): trace for trace in figure.data if trace.meta}
    assert set(lines) == {
        (way, side) for way in ("naive", "exact") for side in ("with_a", "with_b")
    }
    assert np.allclose(lines["exact", "with_a"].y, [1.0, 0.85, 0.7, 0.6, 0.5])
    assert np.allclose(
        {t.meta["side"]: t for t in agreement_figure(result, ["exact"], [1]).data}["with_b"].y[0],
        0.4,
    )


def test_load_has_a_row_for_every_expert(result):
    figure = load_figure(result)
    load = np.array(result["routing"]["exact"]["load"])
    drawn = np.array(figure.data[0].z)
    assert drawn.shape == (6, 5) and np.allclose(drawn[4], load[:, 1, 1])
    assert np.array(load_figure(result, "exact", [1]).data[0].z).shape == (3, 5)


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_every_theme_draws_with_enough_contrast(result, theme):
    figures = [fan_figure(result, fan, theme) for fan in result["fans"]]
    figures += [
        ranks_figure(result, theme),
        costs_figure(result, theme=theme),
        load_figure(result, theme=theme),
    ]
    figures += [agreement_figure(result, theme=theme), empty_fan(("one", "two"), "test", theme)]
    for figure in figures:
        assert figure.layout.template.layout.paper_bgcolor == GROUNDS[theme].paper
    for way in ("naive", "router", "gram", "exact", "best", "worst"):
        assert contrast(way_stroke(way, theme).colour, GROUNDS[theme].paper) >= 4.5
    strokes = [
        way_stroke(way, theme) for way in ("naive", "router", "gram", "exact", "best", "worst")
    ]
    assert len({(s.dash, s.marker) for s in strokes}) == 6  # nothing depends on colour


def test_words_and_tables(result):
    caption = fan_caption(result, result["fans"][0])
    assert (
        "all 6 orders of the 3 experts of layer 0" in caption
        and "Exact, Gram, router, best: 0.20 ± 0.02 nats" in caption
    )
    assert "4 of the 36 joint orders" in fan_caption(result, result["fans"][2])
    assert "2 of 3 experts" in routing_caption(result, "exact") and "two (columns" in costs_caption(
        result
    )
    assert spoken_fan(result, result["fans"][0]).startswith(
        "Loss between two models for 6 orders of experts, layer 0."
    )
    assert ("layer 0", "As numbered", "0 1 2", "0.50 ± 0.02", "2 of 6") in named_table(result).rows
    rows = orders_table(result).rows
    assert len(rows) == (6 + 6 + 4 + 1) * 5
    assert ("experts.1", "1 2 0", "gram best", 0.1, 0.02, 0.5, 1.1, 0.01) in rows
    result["fans"][0] |= {"there": 48}
    assert "6 of the 48 orders" in fan_caption(result, result["fans"][0])


def test_an_order_by_activations_has_a_line_and_a_mark_of_its_own():
    result = by_activations()
    every = fan_figure(result, result["fans"][-1])
    named = {trace.name: trace for trace in traces(every, "named")}
    assert tuple(named["Activation matching"].y) == tuple(result["matched"]["loss"])
    assert "Activation matching" not in {
        trace.name for trace in traces(fan_figure(result, result["fans"][0]), "named")
    }
    assert named["By activations, worst of each"].line.color == way_stroke("found", "light").colour
    ranks = {trace.name: trace for trace in ranks_figure(result).data}
    assert list(ranks["by activations"].x) == [0.6, 0.6, 1.2]
    assert "by activations" not in {trace.name for trace in ranks_figure(experts_result()).data}
    assert {
        trace.meta["way"]
        for trace in agreement_figure(result, ("naive", "found")).data
        if trace.meta
    } >= {"found"}
