"""The picture that stands for a figure until Plotly has drawn it: its curves, words and limits."""

import re
from xml.etree import ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest

from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.margin import narrowed
from lmc_core.figures.still import ACROSS, still_picture
from lmc_core.figures.still_parts import (
    Unknown,
    dashes,
    lines_of,
    marker_path,
    tick_labels,
    tick_step,
    tick_values,
)
from lmc_core.figures.style import MEANINGS


def drawn(figure) -> ElementTree.Element:
    picture = still_picture(figure)
    assert picture is not None
    return ElementTree.fromstring(picture)


def words(root: ElementTree.Element) -> str:
    return " ".join(" ".join(text.itertext()) for text in root.iter("text"))


def paths(root: ElementTree.Element) -> list[np.ndarray]:
    """Corners of the lines of all traces in the order of drawing, gaps left out."""
    lines = [
        path.get("d", "") for path in root.iter("path") if path.get("vector-effect") is not None
    ]
    return [
        np.array(
            [[float(value) for value in pair.split(",")] for pair in re.split("[ML]", d) if pair]
        )
        for d in lines
    ]


def test_curves_lie_where_their_values_say(vit):
    """Places are read back into values by the axes of the figure, not by the drawing's own code."""
    figure = barrier_figure(vit, height=500)
    traces = [trace for trace in figure.data if trace.line.width]
    found = paths(drawn(figure))
    order = [t for t in traces if t.yaxis == "y"] + [t for t in traces if t.yaxis == "y2"]
    assert len(found) == len(order) > 8
    inner = 500 - figure.layout.margin.t - figure.layout.margin.b
    for places, trace in zip(found, order, strict=True):
        axis = figure.layout.yaxis if trace.yaxis == "y" else figure.layout.yaxis2
        tall = (axis.domain[1] - axis.domain[0]) * inner
        (left, right), (low, high) = figure.layout.xaxis.range, axis.range
        good = [pair for pair in zip(trace.x, trace.y, strict=True) if None not in pair]
        x, y = np.array(good, dtype=float).T
        assert places[:, 0] / ACROSS * (right - left) + left == pytest.approx(x, abs=1e-4)
        assert high - places[:, 1] / tall * (high - low) == pytest.approx(
            y, abs=0.006 * (high - low) / tall
        )


def test_every_word_of_the_figure_is_in_the_picture(vit):
    figure = barrier_figure(vit, height=500)
    said = words(drawn(figure))
    for note in figure.layout.annotations:
        for line in re.sub("</?b>", "", note.text).split("<br>"):
            assert line in said.replace("  ", " ")
    assert "0.25" in said and "\u03bb" in said and "100%" in said


def test_it_is_as_high_as_the_figure_and_hidden_from_screen_readers(vit):
    root = drawn(barrier_figure(vit, height=500))
    assert root.get("aria-hidden") == "true"
    (whole,) = root.findall("svg")
    assert "height:500px" in whole.get("style", "")
    assert not re.search(r"width:\d", whole.get("style", ""))  # at every width


def test_a_narrow_figure_has_its_legend(vit):
    figure = narrowed(barrier_figure(vit, height=500))
    entries = [trace.name for trace in figure.data if trace.showlegend]
    said = words(drawn(figure))
    assert len(entries) == len(vit) and all(
        line in said for entry in entries for line in entry.split("<br>")
    )
    assert "Plain average:" not in words(drawn(barrier_figure(vit, height=500)))


def test_a_gap_stays_a_gap(vit):
    figure = barrier_figure(vit[:1], height=500)
    curve = next(trace for trace in figure.data if trace.name == "Plain average")
    curve.update(mode="lines", y=[None if k == 3 else v for k, v in enumerate(curve.y)])
    gapped = drawn(figure)
    (path,) = [
        p.get("d", "")
        for p in gapped.iter("path")
        if p.get("stroke") == curve.line.color and p.get("d", "").count("L") > 10
    ][:1]
    assert path.count("M") == 2 and path.count("L") == len(curve.y) - 3


def test_names_are_text_and_nothing_else(vit):
    results = [{**result, "models": ["a & b", 'c"d > e']} for result in vit]
    said = words(drawn(barrier_figure(results, height=500)))
    assert "a & b" in said and 'c"d > e' in said
    for name in ("<script>x</script>", "<img src=x>", "</svg>"):
        figure = barrier_figure([{**result, "models": [name, "b"]} for result in vit], height=500)
        picture = still_picture(figure)
        assert picture is None or name not in picture


def test_nothing_is_drawn_of_what_is_not_known(vit):
    """A picture that leaves something out would be wrong: there is none."""

    def changed(**layout) -> go.Figure:
        return barrier_figure(vit, height=500).update_layout(**layout)

    assert still_picture(changed()) is not None
    assert still_picture(changed(title_text="A title")) is None
    assert still_picture(changed(shapes=[{"type": "line", "x0": 0, "x1": 1}])) is None
    assert still_picture(changed(yaxis_type="log")) is None
    assert still_picture(changed(yaxis_tickformat=".2e")) is None
    assert still_picture(changed(yaxis_range=None)) is None
    assert still_picture(changed(yaxis_range=[0, 1e6])) is None
    assert still_picture(changed(showlegend=True)) is None
    for trace in ({"line_shape": "spline"}, {"marker_symbol": "asterisk"}, {"fill": "tozeroy"}):
        assert still_picture(barrier_figure(vit, height=500).update_traces(trace)) is None
    assert still_picture(go.Figure(go.Heatmap(z=[[1, 2]]))) is None
    assert still_picture(barrier_figure(vit, height=500).add_bar(x=[0], y=[1])) is None


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(-0.1, 3.7, 1.0), (0, 1.06, 0.2), (0.2, 0.31, 0.02), (0, 12, 5), (0, 60, 20), (0, 30, 10)],
)
def test_ticks_are_those_of_plotly(low, high, step):
    """At a boundary the next larger step; tests/browser/test_first_picture.py asks Plotly itself."""
    assert tick_step(low, high, 6) == pytest.approx(step)


def test_numbers_at_an_axis():
    axis = {"range": [-0.3, 0.6], "nticks": 6}
    assert [text for _, text in tick_labels(axis)] == ["\u22120.2", "0", "0.2", "0.4", "0.6"]
    share = {"range": [0, 1.06], "nticks": 6, "tickformat": ".0%"}
    assert [text for _, text in tick_labels(share)][1:3] == ["20%", "40%"]
    assert tick_values({"range": [0, 1], "tickvals": [-1, 0.5, 2]}) == [0.5]
    for unknown in ({"range": [0, 1]}, {"range": [1, 0], "nticks": 6}, {**axis, "type": "log"}):
        with pytest.raises(Unknown):
            tick_values(unknown)


def test_every_meaning_has_its_mark_and_dash():
    for look in MEANINGS.values():
        path = marker_path(look.marker, 3.5)
        assert path.startswith("M") and path.endswith("Z")
        assert bool(dashes(look.dash, 2.5)) == (look.dash != "solid")
    assert len({marker_path(look.marker, 3.5) for look in MEANINGS.values()}) == len(
        {look.marker for look in MEANINGS.values()}
    )
    with pytest.raises(Unknown):
        dashes("5%", 1)


def test_marks_in_words():
    assert lines_of("<b>a</b> b<br>&lt;c&gt;") == [
        '<tspan font-weight="bold">a</tspan> b',
        "&lt;c&gt;",
    ]
    with pytest.raises(Unknown):
        lines_of("a<sup>2</sup>")
