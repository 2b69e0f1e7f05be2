"""The figures of an alignment, tested on their data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lmc_core.figures.alignment import (
    copy_title,
    layer_tick,
    layer_title,
    overview_caption,
    overview_figure,
    short_table,
    space_title,
    spaces_table,
)
from lmc_core.figures.elements import (
    circle_figure,
    cycles_figure,
    cycles_words,
    element_words,
    find_cycles,
    histogram,
    pairs_figure,
    stretch_figure,
)
from lmc_core.figures.heatmap import Matrices, find_limit, heatmap_caption, heatmap_figure
from lmc_core.figures.margin import text_width
from lmc_core.figures.streams import cka_figure, streams_caption, streams_figure, streams_table
from lmc_core.runs.store import Store
from tests.figures.alignment_result import HEADS, LAYERS, MODELS, alignment_arrays, alignment_result

BLUE = "#0066a6"


@pytest.fixture
def result() -> dict:
    return alignment_result()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return alignment_arrays()


def named(figure, name: str) -> list:
    return [trace for trace in figure.data if trace.name == name]


def shapes(figure, name: str) -> list:
    return [shape for shape in figure.layout.shapes if shape.name == name]


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_the_overview_has_a_panel_for_each_kind_and_a_point_for_each_layer(result, theme) -> None:
    figure = overview_figure(result, theme, "units.1")
    headings = [a.text for a in figure.layout.annotations]
    assert headings == [
        f"<b>{t}</b>"
        for t in ("Residual<br>stream", "Units", "Heads", "Query-<br>key", "Value-<br>output")
    ]
    after = named(figure, "after")
    assert [list(trace.y) for trace in after[:2]] == [
        [0.2, pytest.approx(0.3), 0.4, 0.5],
        [0.3, 0.4],
    ]
    assert [list(each) for each in after[1].customdata] == [
        ["units.0", "blocks.0"],
        ["units.1", "blocks.1"],
    ]
    assert named(figure, "before")[3].y[0] == pytest.approx(0.025)  # mean over the heads' planes
    marked = shapes(figure, "selected")
    assert len(marked) == 1 and marked[0].x0 < 1 < marked[0].x1 and marked[0].xref == after[1].xaxis
    assert list(figure.layout.xaxis.ticktext) == ["in", "0", "1", "out"]


def test_many_kinds_are_drawn_in_two_rows(result) -> None:
    more = [
        {**result["spaces"][1], "name": f"{kind}.0", "kind": kind}
        for kind in ("queries", "experts", "latent")
    ]
    figure = overview_figure({**result, "spaces": result["spaces"] + more})
    assert figure.layout.height > overview_figure(result).layout.height
    assert figure.layout.yaxis2.domain[1] < figure.layout.yaxis.domain[0]
    assert {trace.yaxis for trace in named(figure, "after")} == {"y", "y2"}


SHIPPED = [
    each.result
    for each in Store(Store().shipped, Store().shipped).list()
    if each.request["what"] == "alignment"
]


@pytest.mark.parametrize("shipped", SHIPPED, ids=[each["models"][0] for each in SHIPPED])
def test_words_below_an_axis_have_room_on_a_phone(shipped) -> None:
    figure = overview_figure(shipped)
    pixels = 390 - 2 * 16 - figure.layout.margin.l - figure.layout.margin.r
    for axis in figure.select_xaxes():
        low, high = axis.range
        scale = pixels * (axis.domain[1] - axis.domain[0]) / (high - low)
        ticks = list(zip(axis.tickvals, axis.ticktext, strict=True))
        for (at, text), (after, following) in pairwise(ticks):
            room = scale * (after - at) - (text_width(text) + text_width(following)) / 2
            assert room > 0, (text, following)


def test_what_is_not_known_is_left_out(result) -> None:
    result["spaces"][2]["before"] = result["spaces"][2]["after"] = [None] * 4
    figure = overview_figure(result)
    assert [len(trace.y) for trace in named(figure, "after")] == [4, 2, 2, 1, 2]


def test_both_matrices_share_their_scale_and_say_their_models() -> None:
    before, after = np.full((5, 5), 0.05), 0.5 * np.eye(5)
    for panels in (("before",), ("after",), ("before", "after")):
        figure = heatmap_figure(Matrices(before, after, MODELS), panels)
        assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-0.5, 0.5)
        assert [trace.name for trace in figure.data] == list(panels)
        assert (
            figure.layout.yaxis.title.text == MODELS[0]
            and figure.layout.xaxis.title.text == MODELS[1]
        )
    assert np.array_equal(np.array(figure.data[1].z), after.astype(np.float32))
    assert heatmap_figure(Matrices(before, after, MODELS, signed=False)).layout.coloraxis.cmin == 0


def test_single_outliers_do_not_set_the_scale() -> None:
    after = 0.3 * np.eye(100)
    after[3, 50] = 1.0
    assert find_limit(np.zeros((100, 100)), after) == pytest.approx(0.3)
    assert find_limit(np.zeros((2, 2))) == 1.0 and find_limit(3 * np.eye(2)) == 1.0


def test_in_its_own_order_the_matched_cells_are_framed_where_they_were(arrays) -> None:
    before, after = (arrays[f"heads.0/{name}"][0] for name in ("before", "after"))
    order = np.array(HEADS)
    figure = heatmap_figure(Matrices(before, after, MODELS, assignment=order))
    own = np.array(figure.data[1].z)
    frames = {(round(s.y0 + 0.46), round(s.x0 + 0.46)) for s in shapes(figure, "matched")}
    assert frames == {(place, head) for place, head in enumerate(HEADS)}
    assert all(own[place, head] == pytest.approx(after[place, place]) for place, head in frames)
    assert all(shape.xref == "x2" for shape in shapes(figure, "matched"))
    assert own.argmax(1).tolist() == HEADS  # and not where they are once matched
    assert np.array(figure.data[0].z) == pytest.approx(before)


def test_many_matched_cells_are_dots(arrays) -> None:
    order = np.roll(np.arange(100), 3)
    figure = heatmap_figure(
        Matrices(np.zeros((100, 100)), np.eye(100), MODELS, assignment=order), ("after",)
    )
    dots = named(figure, "matched")[0]
    assert list(dots.x) == order.tolist() and list(dots.y) == list(range(100))
    assert all(np.array(figure.data[0].z)[i, j] == 1 for i, j in zip(dots.y, dots.x, strict=True))


def test_large_matrices_are_drawn_as_means_over_blocks() -> None:
    values = np.zeros((1030, 1030), dtype=np.float32)
    values[:3, :3] = 0.9
    trace = heatmap_figure(Matrices(values, values, MODELS), ("after",)).data[0]
    assert np.array(trace.z).shape == (344, 344) and trace.dx == 3 and trace.x0 == 1
    assert np.array(trace.z)[0, 0] == pytest.approx(0.9)
    kept = heatmap_figure(Matrices(values[:4, :4], values[:4, :4], MODELS, edge=8), ("after",))
    assert kept.data[0].dx == 8 and kept.layout.xaxis.range[1] == 31.5


def test_the_circle_counts_every_angle_once() -> None:
    angles = np.array([-180.0, 180.0, 0.0, 7.0, -7.0, 90.0])
    counts, centres = histogram(angles)
    assert (
        counts.sum() == 6
        and dict(zip(centres, counts, strict=True))[180] == 2
        and -180 not in centres
    )
    figure = circle_figure(angles, BLUE)
    assert list(named(figure, "eigenvalues")[0].theta) == angles.tolist()
    bars = named(figure, "count")[0]
    # base 0.25 up to 0.9
    assert bars.r.max() == pytest.approx(0.65) and (bars.r[counts == 0] == 0).all()
    assert "77.3°" in figure.layout.annotations[0].text


def test_rotary_pairs_are_drawn_at_angle_and_length() -> None:
    figure = pairs_figure(np.array([10.0, -120.0]), np.array([1.5, 0.5]), BLUE)
    dots = named(figure, "pairs")[0]
    assert (
        list(dots.theta) == [10, -120]
        and list(dots.r) == [1.5, 0.5]
        and list(dots.text) == ["0", "1"]
    )
    assert figure.layout.polar.radialaxis.range[1] > 1.5


def test_stretches_are_on_a_logarithmic_axis() -> None:
    figure = stretch_figure(np.array([4.0, 1.0, 0.25]), BLUE)
    assert list(figure.data[0].y) == [4, 1, 0.25] and figure.layout.yaxis.type == "log"


def test_cycles_are_found_and_told() -> None:
    order = [1, 2, 0, 3, 5, 4, 6]
    assert find_cycles(order) == [[0, 1, 2], [4, 5], [3], [6]]
    assert cycles_words(find_cycles(order)) == "cycles of 3 and 2; 2 stayed"
    assert (
        cycles_words(find_cycles([1, 0, 3, 2])) == "cycles of 2 × 2"
        and cycles_words(find_cycles([0, 1])) == "2 stayed"
    )
    assert cycles_words(find_cycles([1, 2, 0])) == "a cycle of 3"


def test_each_ring_is_a_cycle() -> None:
    order = np.array([1, 2, 0, 3, 5, 4])
    figure = cycles_figure(order, BLUE)
    rings = named(figure, "cycle")
    assert [list(trace.text) for trace in rings] == [["0", "1", "2"], ["4", "5"], ["3"]]
    assert all(order[place] == came for trace in rings for came, place in trace.customdata)
    assert len(named(figure, "ring")) == 2
    many = cycles_figure(np.roll(np.arange(50), 1), BLUE)
    assert [len(trace.x) for trace in named(many, "cycle")] == [50] and named(many, "cycle")[
        0
    ].text is None


def test_rings_do_not_overlap() -> None:
    order = np.concatenate(
        [
            np.roll(np.arange(n), 1) + start
            for n, start in ((60, 0), (30, 60), (20, 90), (2, 110), (2, 112))
        ]
    )
    boxes = [
        (min(t.x), max(t.x), min(t.y), max(t.y)) for t in named(cycles_figure(order, BLUE), "ring")
    ]
    assert len(boxes) == 5
    for k, one in enumerate(boxes):
        for other in boxes[k + 1 :]:
            apart = one[1] < other[0] or other[1] < one[0] or one[3] < other[2] or other[3] < one[2]
            assert apart


def test_streams_by_layer(result) -> None:
    stream = result["streams"]["residual"]
    figure = streams_figure(stream, BLUE)
    assert {trace.name: list(trace.y) for trace in figure.data} == {
        "CKA": stream["cka"], "cosine after": stream["after"], "cosine before": stream["before"],
    }  # fmt: skip
    labels = [a for a in figure.layout.annotations if a.name == "label"]
    assert [a.text for a in labels] == ["<b>CKA</b>", "<b>cosine after</b>", "<b>cosine before</b>"]
    assert list(figure.layout.xaxis.ticktext) == ["0", "1", "head"]


def test_cka_of_all_layers_keeps_what_is_unknown_blank(result, arrays) -> None:
    figure = cka_figure(arrays["residual/cka"], LAYERS[1:], MODELS)
    assert [list(row) for row in figure.data[0].text] == [
        ["0.98", "0.70", ""],
        ["0.60", "0.80", ""],
        ["", "", "0.90"],
    ]
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 1)
    assert figure.data[0].customdata[0][1] == "Block 0, block 1"


def test_layers_and_spaces_have_names() -> None:
    assert [layer_title(n) for n in ("blocks.3", "encoder.blocks.2", "input")] == [
        "Block 3",
        "Encoder block 2",
        "Input",
    ]
    assert [layer_tick(n) for n in ("blocks.3", "encoder.blocks.2", "output")] == ["3", "e2", "out"]
    assert space_title({"name": "units.shared.2", "kind": "units"}) == "units, shared"
    assert (
        copy_title({"within": "experts.1"}, 3) == "expert 3"
        and copy_title({"within": "heads.1"}, 0) == "head 0"
    )


def test_captions_say_what_was_compared_and_how_it_was_reduced(result) -> None:
    units = result["spaces"][4]
    plain = heatmap_caption(result, units, 0, own=False)
    assert (
        "Units, block 0 (30 units): vit-fashion-s0 in rows" in plain
        and "0.0100 before, 0.300 after" in plain
    )
    assert "means over blocks" not in plain and "wider" not in plain
    reduced = heatmap_caption({**result, "wider": "vit-wide"}, {**units, "edge": 4}, 0, own=True)
    assert (
        "means over blocks of 4 x 4" in reduced
        and "own order" in reduced
        and "vit-wide is the wider" in reduced
    )
    assert "head 2" in heatmap_caption(result, result["spaces"][2], 2, own=False)
    assert "2.4 × 10⁻⁷" in overview_caption(result) and "LMC Explorer 0.1.0" in overview_caption(
        result
    )
    assert "one token of each example" in streams_caption(result, result["streams"]["residual"])


def test_elements_are_told_in_words(result) -> None:
    entries = {entry["name"]: entry for entry in result["spaces"]}
    assert element_words(entries["heads.0"], 0).startswith("3 of 4 changed places.")
    assert "condition number 3.50" in element_words(entries["value-output.0"], 1)
    assert "keeps lengths" in element_words(entries["residual"], 0)
    still = {**entries["heads.0"], "moved": [0]}
    assert element_words(still, 0) == "Nothing changed places."
    assert "2 changed sign" in element_words({**entries["heads.0"], "flipped": [2]}, 0)


def test_tables_hold_every_copy_and_every_layer(result) -> None:
    table = spaces_table(result)
    assert len(table.rows) == 1 + 2 * (1 + 4 + 4 + 1) and table.rows[2][:5] == (
        "query-key",
        "Block 0",
        "head 0",
        "rotary",
        4,
    )
    assert table.csv().splitlines()[0].startswith("space,layer,copy,class")
    short = {row[:2]: row[2:] for row in short_table(result).rows}
    assert (
        short["heads", "Block 0"][-2:] == ("3 moved", 1.0)
        and short["query-key", "Block 1"][1] == "4 × 4"
    )
    assert short["residual stream", "all"][-2] == "80° on average"
    assert [row[-1] for row in streams_table(result).rows] == [0.97, 0.78, None]
