"""A chart is the figure that Plotly makes of the same calls, and its cost grows like the number of
its texts.
"""

from __future__ import annotations

import copy

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc_core.figures.chart import Chart, blank
from lmc_core.figures.style import template

TEXT = {"x": 0.5, "y": 1.0, "text": "a", "showarrow": False, "name": None}
STEPS = {
    "text": lambda figure, k: figure.add_annotation(**{**TEXT, "text": f"text {k}"}),
    "text object": lambda figure, k: figure.add_annotation(go.layout.Annotation(text=f"{k}", x=k)),
    "shape": lambda figure, k: figure.add_shape(type="rect", x0=0, x1=k, y0=0, y1=1, name=None),
    "line": lambda figure, k: figure.add_hline(y=k, line={"width": 1}, annotation_text=f"line {k}"),
    "trace": lambda figure, k: figure.add_scatter(x=[0, 1], y=[k, k], name=f"trace {k}"),
    "axis": lambda figure, k: figure.update_yaxes(range=[0, k]),
    "layout": lambda figure, k: figure.update_layout(title_text=f"{k}"),
    "change": lambda figure, k: [note.update(text="changed") for note in figure.layout.annotations],
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=12))
def test_it_is_what_plotly_makes_of_the_same_calls(steps):
    ours, theirs = Chart(), go.Figure()
    for k, step in enumerate(steps):
        STEPS[step](ours, k)
        STEPS[step](theirs, k)
    assert ours.to_json() == theirs.to_json()
    assert ours == theirs


def texts(figure: go.Figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


@pytest.mark.parametrize(
    "read",
    [
        texts,
        lambda figure: [note.text for note in figure["layout"].annotations],
        lambda figure: [figure["layout.annotations[0].text"]],
        lambda figure: [note["text"] for note in figure.to_dict()["layout"]["annotations"]],
        lambda figure: texts(go.Figure(figure)),
        lambda figure: texts(Chart(figure)),
        lambda figure: texts(copy.deepcopy(figure)),
        lambda figure: [each.text for each in figure.select_annotations()],
    ],
)
def test_no_way_of_reading_it_misses_a_text(read):
    figure = Chart()
    figure.add_annotation(**TEXT)
    assert read(figure) == ["a"]
    assert texts(figure) == ["a"]  # and once


def test_a_wrong_property_is_refused_when_the_layout_is_asked_for():
    figure = Chart()
    figure.add_annotation(**TEXT, colour="red")
    with pytest.raises(ValueError, match="colour"):
        figure.to_dict()


def test_a_blank_one_has_the_theme_and_nothing_else():
    found = blank("dark", 300)
    assert found == go.Figure(layout={"template": template("dark"), "height": 300})


def test_each_text_is_checked_once(monkeypatch):
    made = []
    init = go.layout.Annotation.__init__
    monkeypatch.setattr(
        go.layout.Annotation,
        "__init__",
        lambda self, *args, **named: (made.append(1), init(self, *args, **named))[1],
    )
    counts = []
    for kind in (Chart, go.Figure):
        made.clear()
        figure = kind()
        for _ in range(30):
            figure.add_annotation(**TEXT)
        figure.to_dict()
        counts.append(len(made))
    assert counts[0] <= 2 * 30 < 10 * 30 < counts[1]
