"""How a model, a pair, several models, a curve and a result show themselves in a notebook."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import plotly.graph_objects as go
import pytest

import lmc_core
from lmc_core.display import draw_bars, draw_curve, draw_trace, show
from lmc_core.numbers import estimate

Pair = tuple[Path, Path]
EXAMPLES = 20


@pytest.fixture(scope="module")
def examples() -> lmc_core.Examples:
    return lmc_core.get_task("fashion-mnist").examples("test", EXAMPLES)


@pytest.fixture
def models(tiny_vit_pair: Pair) -> tuple[lmc_core.Model, lmc_core.Model]:
    first, second = tiny_vit_pair
    return lmc_core.load(first), lmc_core.load(second)


def read(html: str) -> ElementTree.Element:
    """The tree of HTML that loads nothing from anywhere and runs no script."""
    assert not re.search(r"https?:|src=|<script|url\(|@import", html)
    return ElementTree.fromstring(html)


def facts(tree: ElementTree.Element) -> dict[str, str]:
    """Names and values of the table."""
    rows = tree.findall("./table/tr")
    return {str(row[0].text): str(row[1].text) for row in rows}


def test_a_model_shows_its_classes_and_where_its_parameters_are(models) -> None:
    tree = read(models[0]._repr_html_())
    said = facts(tree)
    assert said["parameters"] == f"{models[0].parameters:,}"
    assert "residual: orthogonal" in said["classes"]
    assert len(tree.findall("./svg/rect")) > 3


def test_a_pair_shows_the_function_check(models, examples) -> None:
    pair = lmc_core.align_pair(*models, examples.inputs)
    tree = read(pair._repr_html_())
    assert "outputs changed by" in facts(tree)["function"]
    assert len(tree.findall("./svg/polyline")) == 1


def test_several_models_show_their_function_checks(models, examples) -> None:
    aligned = lmc_core.align_many(models, examples, settings={"steps": 0})
    said = facts(read(aligned._repr_html_()))
    assert "of any model" in said["function"] and said["cycles"]


def test_a_curve_shows_the_barrier_with_its_error_and_draws_itself(models, examples) -> None:
    curve = lmc_core.curve(lmc_core.Line(*models), examples, 5, 0)
    tree = read(curve._repr_html_())
    words = estimate(curve.barrier.value, curve.barrier.stderr, "nats")
    assert words in facts(tree)["barrier"]
    svg = tree.find("./svg")
    assert svg is not None and words in str(svg.get("aria-label"))
    figure = curve.figure(names=("first", "second"))
    assert isinstance(figure, go.Figure)
    losses = [trace.y for trace in figure.data if trace.y is not None and len(trace.y) == 5]
    assert any(list(y) == pytest.approx(curve.mean.tolist()) for y in losses)


def test_a_result_shows_barrier_and_function_check(tiny_vit_pair: Pair) -> None:
    a, b = (str(folder) for folder in tiny_vit_pair)
    request = lmc_core.make_request(a, b, examples=EXAMPLES, points=5, refine=0)
    outcome = lmc_core.run(request)
    tree = read(outcome._repr_html_())
    said = facts(tree)
    numbers = outcome.numbers
    assert said["barrier"].split()[0] in estimate(numbers["barrier"], numbers["barrier_stderr"])
    assert "outputs changed by" in said["function"]
    assert tree.find("./svg/polyline") is not None
    assert isinstance(outcome.figure(), go.Figure)
    assert [panel.what for panel in outcome.panels()] == ["barrier"]
    assert outcome.arrays()["losses"].shape == (5, EXAMPLES)
    assert lmc_core.run(request).numbers["cached"] is True


def test_names_are_text_and_never_markup() -> None:
    name = "<b>&\"'"
    tree = read(show(name, [(name, name)], draw_bars([(name, 1.0)], name)))
    assert tree.findtext("strong") == name and facts(tree) == {name: name}
    assert tree.findtext("./svg/text") == name


@pytest.mark.parametrize("losses", [[1.0, 1.0, 1.0], [0.5, 3.0, 0.2], [2.0, 1.0, 2.0]])
def test_a_drawing_stays_within_its_frame(losses: list[float]) -> None:
    tree = read(draw_curve([0.0, 0.5, 1.0], losses, 1, "1 nats"))
    for line in tree.findall("polyline"):
        for point in str(line.get("points")).split():
            x, y = (float(value) for value in point.split(","))
            assert 0 <= x <= 360 and 0 <= y <= 150


def test_an_objective_of_one_value_has_no_drawing() -> None:
    assert draw_trace([0.5], "objective") == ""
