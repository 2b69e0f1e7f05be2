"""Results on two models beside barriers as panels: what the pages of these kinds draw, with their
captions and tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures import alignment_words, experts_words, landscape_words
from lmc_core.figures.barrier import HEIGHT, barrier_figure
from lmc_core.figures.experts import fan_figure
from lmc_core.figures.export import CURVES, curve_rows
from lmc_core.figures.landscape import contour_figure
from lmc_core.figures.landscape_data import Landscape, routes
from lmc_core.figures.layers import layers_caption, layers_figure
from lmc_core.figures.overview import overview_figure
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result
from lmc_core.numbers import estimate, number

Headline = tuple[str, float | None]
PAPER = 500  # pixels of height on paper


class Drawn(Protocol):
    """What has the numbers of a result."""

    @property
    def result(self) -> dict[str, Any]:
        """The numbers."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """The larger arrays."""
        ...


Found = Sequence[Drawn]
Labels = Sequence[str]


def one(table: Callable[[Result], Table]) -> Callable[[Found, Labels], Table]:
    """The table of the one result of a panel."""
    return lambda found, labels: table(found[0].result)


def draw_layers(found: Found, labels: Labels, theme: Theme, height: int | None) -> go.Figure:
    """Draw what each part of the network costs, one bar for every setting."""
    return layers_figure([each.result for each in found], theme, labels)


def caption_layers(found: Found, labels: Labels) -> str:
    """Say what the bars are."""
    return layers_caption([each.result for each in found], labels)


def table_layers(found: Found, labels: Labels) -> Table:
    """Return one row for every part, one column for every setting."""
    results = [each.result for each in found]
    rows = [
        (part, *(_at(result, part) for result in results))
        for part in dict.fromkeys(p for r in results for p in r["parts"])
    ]
    return Table.of(("part", *(f"{label} (nats)" for label in labels)), rows)


def _at(result: Result, part: str) -> float | None:
    return result["cost"][result["parts"].index(part)] if part in result["parts"] else None


def headline_layers(result: Result) -> Headline:
    """Return the part that costs most."""
    worst = max(range(len(result["cost"])), key=lambda k: result["cost"][k])
    return f"{result['parts'][worst]} {number(result['cost'][worst])} nats", float(
        result["cost"][worst]
    )


def draw_plane(found: Found, labels: Labels, theme: Theme, height: int | None) -> go.Figure:
    """Draw the loss on a plane as a map with the paths in it."""
    scene = _scene(found)
    return contour_figure(scene, theme, routes(scene.facts))


def _scene(found: Found) -> Landscape:
    return Landscape.of(found[0].result, found[0].arrays())


def caption_plane(found: Found, labels: Labels) -> str:
    """Say what plane it is."""
    scene = _scene(found)
    return landscape_words.landscape_caption(scene, routes(scene.facts))


def summary_plane(found: Found, labels: Labels) -> Table:
    """Return the models and the lowest point with their losses."""
    return landscape_words.points_table(_scene(found))


def numbers_plane(found: Found, labels: Labels) -> Table:
    """Return every measured point."""
    return landscape_words.grid_table(_scene(found))


def headline_plane(result: Result) -> Headline:
    """Return the lowest loss on the grid."""
    lowest = (result.get("lowest") or {}).get("loss")
    return (
        (f"lowest {number(lowest)} nats", float(lowest))
        if lowest is not None and isfinite(lowest)
        else ("\u2013", None)
    )


def draw_bend(found: Found, labels: Labels, theme: Theme, height: int | None) -> go.Figure:
    """Draw the loss along straight and curved paths."""
    facts = found[0].result
    tall = height or (PAPER if theme == "paper" else HEIGHT)
    return barrier_figure(
        landscape_words.path_results(facts),
        theme,
        landscape_words.path_labels(facts, short=True),
        tall,
    )


def caption_bend(found: Found, labels: Labels) -> str:
    """Say which paths they are."""
    return landscape_words.paths_caption(found[0].result)


def numbers_bend(found: Found, labels: Labels) -> Table:
    """Return every point of every path."""
    facts = found[0].result
    scores = [str(facts["score"])]
    rows = curve_rows(
        landscape_words.path_results(facts), landscape_words.path_labels(facts), scores
    )
    return Table.of((*CURVES, *scores), rows)


def headline_bend(result: Result) -> Headline:
    """Return the lowest barrier of all paths."""
    best = min(result["paths"], key=lambda path: path["barrier"])
    unit = str(result.get("unit", "nats")).split(" per ")[0]
    return f"lowest {estimate(best['barrier'], best.get('barrier_stderr'), unit)}", float(
        best["barrier"]
    )


def draw_alignment(found: Found, labels: Labels, theme: Theme, height: int | None) -> go.Figure:
    """Draw how alike matched coordinates are by layer, before and after."""
    return overview_figure(found[0].result, theme)


def caption_alignment(found: Found, labels: Labels) -> str:
    """Say what was compared."""
    return alignment_words.overview_caption(found[0].result)


def headline_alignment(result: Result) -> Headline:
    """Return the mean cosine of what was matched."""
    rises = [
        p for p in alignment_words.points_of(result) if p.before is not None and p.after is not None
    ]
    if not rises:
        return "\u2013", None
    before, after = (
        sum(getattr(p, name) for p in rises) / len(rises) for name in ("before", "after")
    )
    return f"cosine {number(before)} \u2192 {number(after)}", after


def draw_orders(found: Found, labels: Labels, theme: Theme, height: int | None) -> go.Figure:
    """Draw the loss for every order of the experts, of all layers together."""
    result = found[0].result
    return fan_figure(result, result["fans"][-1], theme)


def caption_orders(found: Found, labels: Labels) -> str:
    """Say what the fan shows."""
    result = found[0].result
    return experts_words.fan_caption(result, result["fans"][-1])


def headline_orders(result: Result) -> Headline:
    """Return the barrier of the exact order."""
    fan = result["fans"][-1]
    place = fan["named"]["exact"]
    value = float(fan["barrier"][place])
    return f"exact order {estimate(value, fan['barrier_stderr'][place], 'nats')}", value
