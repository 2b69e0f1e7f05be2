"""An alignment as a whole: how alike matched coordinates are in every space by layer, before and
after; with what spaces and layers are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading
from lmc_core.figures.panel import Picture, one
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, Theme, faint, strokes
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result, classes_sentence, method_title, version_sentence
from lmc_core.numbers import number
from lmc_core.symmetry.spaces import KINDS

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.requests.alignment import SpaceNumbers

TITLES = {"residual": "residual stream", "query-key": "query-key", "value-output": "value-output"}
ALONE, ROW = 300, 240  # pixels of a single row of panels, and of each of several
MOST = 5  # panels in a row
BETWEEN = 0.45  # height of the gap between rows, in units of a row
GAP = 0.02  # between panels, as a share of the width
WORD = 1.6  # between a layer with a word for its name and the next, in layers
LEAST = 1.0  # layers that the narrowest panel has room for beside its own
HEADER = (
    *(
        "space",
        "layer",
        "copy",
        "class",
        "coordinates",
        "cosine before",
        "cosine after",
        "moved",
        "signs changed",
    ),
    *("mean angle (degrees)", "distance to the identity", "condition number"),
)


@dataclass(frozen=True)
class Point:
    """How alike both models are along the spaces of one kind in one layer.

    Attributes:
        group: which kind, for people.
        layer: ``blocks.3``, ``input`` or ``output``.
        space: name of the space.
        before: mean cosine of coordinates that were matched later.
        after: of those that were matched; None where nothing is known.
    """

    group: str
    layer: str
    space: str
    before: float | None
    after: float | None


def space_title(entry: SpaceNumbers) -> str:
    """What spaces like this one are called: "units", "units, shared" - its kind with what else its
    name says.
    """
    parts = [
        part for part in entry["name"].split(".") if not part.isdigit() and part != entry["kind"]
    ]
    return ", ".join([str(TITLES.get(entry["kind"], entry["kind"])), *parts])


def layer_title(layer: str) -> str:
    """A layer for people: "Block 3", "Encoder block 3", "Input"."""
    parts = layer.split(".")
    if not parts[-1].isdigit():
        return layer.capitalize()
    outer = [part for part in parts[:-1] if part not in ("blocks", "block")]
    words = " ".join([*outer, "block", parts[-1]])
    return words[0].upper() + words[1:]


def layer_tick(layer: str) -> str:
    """A layer on an axis: "3", "e3", "in"."""
    parts = layer.split(".")
    if not parts[-1].isdigit():
        return {"input": "in", "output": "out"}.get(layer, layer[:3])
    outer = [part for part in parts[:-1] if part not in ("blocks", "block")]
    return "".join(part[0] for part in outer) + parts[-1]


def average(values: Sequence[float | None] | None) -> float | None:
    """Mean of what is known."""
    known = [value for value in values or [] if value is not None]
    return sum(known) / len(known) if known else None


def overview_points(result: Result) -> list[Point]:
    """The overview as rows: spaces of one layer by the mean over their copies, streams layer by
    layer.
    """
    found = []
    for entry in result["spaces"]:
        group = space_title(entry)
        if entry["by_layer"]:
            found += [
                Point(group, layer, entry["name"], *pair)
                for layer, pair in entry["by_layer"].items()
            ]
        else:
            layer = entry["layers"][0]
            found.append(
                Point(
                    group, layer, entry["name"], average(entry["before"]), average(entry["after"])
                )
            )
    return found


def layers_in(result: Result) -> list[str]:
    """All layers of a result, in the order of the network."""
    found = list(dict.fromkeys(layer for entry in result["spaces"] for layer in entry["layers"]))
    ends = {"input": -1, "output": 1}
    return sorted(found, key=lambda layer: ends.get(layer, 0))


def copy_title(entry: SpaceNumbers, copy: int) -> str:
    """One copy of a space within another: "head 2", "expert 5"."""
    outer = str(entry["within"] or "").split(".")[0]
    return f"{outer.removesuffix('s') or 'copy'} {copy}"


def overview_figure(
    result: Result, theme: Theme = "light", selected: str | None = None, height: int | None = None
) -> go.Figure:
    """Draw one panel for each kind of space, a point before and one after for every layer.

    The points carry (space, layer) as `customdata`, so that a click says what was meant.

    Args:
        result: of `lmc_core.runs.kinds.alignment.compute`.
        theme: ``light``, ``dark`` or ``paper``.
        selected: name of the space that is marked.
        height: of the figure, in pixels; by default what its rows need.
    """
    groups, layers = _groups(result), layers_in(result)
    shelves = _shelves(groups)
    figure = blank(theme, height or (ALONE if len(shelves) == 1 else ROW * len(shelves)))
    colour = strokes([result], theme)[0].colour
    values = [
        value
        for points in groups.values()
        for p in points
        for value in (p.before, p.after)
        if value is not None
    ]
    reach = [min(-0.05, min(values, default=0) - 0.03), min(1.05, max(values, default=1.0) + 0.12)]
    count = 0
    for row, shelf in enumerate(shelves):
        top = 1 - row * (1 + BETWEEN) / (len(shelves) + BETWEEN * (len(shelves) - 1))
        floor = top - 1 / (len(shelves) + BETWEEN * (len(shelves) - 1))
        y = "y" if row == 0 else f"y{row + 1}"
        title = {"text": "mean cosine", "standoff": 6, "font": {"size": SMALL}}
        first = "x" if count == 0 else f"x{count + 1}"
        axis = {
            "range": reach,
            "domain": [max(0.0, floor), top],
            "anchor": first,
            "fixedrange": True,
            "nticks": 6,
        }
        figure.update_layout({f"yaxis{y[1:]}": axis | {"title": title}})
        places = {
            name: [layer for layer in layers if any(p.layer == layer for p in groups[name])]
            for name in shelf
        }
        _shelf(figure, groups, places, count, (top, y), colour, selected, theme)
        count += len(shelf)
    figure.update_layout(
        margin={"l": 56, "r": 8, "t": 48, "b": 30},
        showlegend=False,
        hovermode="closest",
        clickmode="event+select",
        dragmode=False,
    )
    return figure


def _shelf(
    figure: go.Figure,
    groups: dict[str, list[Point]],
    places: dict[str, list[str]],
    count: int,
    row: tuple[float, str],
    colour: str,
    selected: str | None,
    theme: Theme,
) -> None:
    """One row of panels, each as wide as it has layers.

    Args:
        figure: to draw in.
        groups: name of a panel -> its points.
        places: the panels of this row -> their layers.
        count: of the panels before.
        row: upper end of the row, and its axis.
        colour: of what found the alignment.
        selected: name of the space that is marked.
        theme: of the figure.
    """
    top, y = row
    placed = {name: _spots(layers) for name, layers in places.items()}
    shares = [max(spots.values()) + 1 + LEAST for spots in placed.values()]
    left = 0.0
    for (name, spots), share in zip(placed.items(), shares, strict=True):
        width = (1 - GAP * (len(places) - 1)) * share / sum(shares)
        x = "x" if count == 0 else f"x{count + 1}"
        _panel(figure, groups[name], spots, (x, y), theme, colour)
        _mark(figure, groups[name], spots, (x, y), theme, selected)
        figure.update_layout({f"xaxis{x[1:]}": _axis(spots, (left, left + width), y, theme)})
        _heading(figure, name, (left, top), theme)
        left, count = left + width + GAP, count + 1


def _spots(layers: Sequence[str]) -> dict[str, float]:
    """Where each layer stands; words get more room than numbers, or they would touch on a phone."""
    found: dict[str, float] = {}
    at, words = 0.0, False
    for k, layer in enumerate(layers):
        named, words = words, not layer.split(".")[-1].isdigit()
        at += (WORD if named or words else 1.0) if k else 0.0
        found[layer] = at
    return found


def _shelves(groups: dict[str, list[Point]]) -> list[list[str]]:
    """The panels in rows of equal length, so that each stays wide enough for its heading on a
    phone.
    """
    names = list(groups)
    rows = max(1, -(-len(names) // MOST))
    each = -(-len(names) // rows)
    return [names[start : start + each] for start in range(0, len(names), each)]


def _groups(result: Result) -> dict[str, list[Point]]:
    """The points of every panel, panels in the order in which kinds are always named."""
    kinds = {entry["name"]: entry["kind"] for entry in result["spaces"]}
    order = list(KINDS)
    found: dict[str, list[Point]] = {}
    for point in sorted(
        overview_points(result),
        key=lambda p: order.index(kinds[p.space]) if kinds[p.space] in order else 99,
    ):
        found.setdefault(point.group, []).append(point)
    return found


def _panel(
    figure: go.Figure,
    points: list[Point],
    spots: Mapping[str, float],
    axes: tuple[str, str],
    theme: Theme,
    colour: str,
) -> None:
    grey = MEANINGS["plain"].colour(theme)
    known = [p for p in points if p.before is not None and p.after is not None]
    for p in known:
        figure.add_scatter(
            x=[spots[p.layer]] * 2,
            y=[p.before, p.after],
            mode="lines",
            line={"color": faint(colour, 0.55), "width": 2},
            hoverinfo="skip",
            xaxis=axes[0],
            yaxis=axes[1],
            name="rise",
        )
    for name, marker in (
        ("before", {"size": 8, "color": GROUNDS[theme].paper, "line": {"color": grey, "width": 2}}),
        ("after", {"size": 10, "color": colour, "line": {"width": 0}}),
    ):
        figure.add_scatter(
            x=[spots[p.layer] for p in known],
            y=[getattr(p, name) for p in known],
            mode="markers",
            marker=marker,
            customdata=[[p.space, p.layer] for p in known],
            xaxis=axes[0],
            yaxis=axes[1],
            unselected={"marker": {"opacity": 1}},
            name=name,
            text=[f"{p.group}, {layer_title(p.layer).lower()}<br>{_rise(p)}" for p in known],
            hovertemplate="%{text}<extra></extra>",
        )


def _rise(point: Point) -> str:
    return f"{number(point.before)} before, {number(point.after)} after"


def _mark(
    figure: go.Figure,
    points: list[Point],
    spots: Mapping[str, float],
    axes: tuple[str, str],
    theme: Theme,
    selected: str | None,
) -> None:
    """A band behind what is shown in detail."""
    for p in points:
        if selected == p.space:
            at = spots[p.layer]
            figure.add_shape(
                type="rect",
                xref=axes[0],
                yref=f"{axes[1]} domain",
                x0=at - 0.42,
                x1=at + 0.42,
                y0=0,
                y1=1,
                layer="below",
                fillcolor=faint(MEANINGS["orthogonal"].colour(theme), 0.13),
                line={"width": 0},
                name="selected",
            )


def _axis(
    spots: Mapping[str, float], domain: tuple[float, float], anchor: str, theme: Theme
) -> dict[str, object]:
    layers = list(spots)
    every = -(-len(layers) // 12)
    shown = [
        layer
        for k, layer in enumerate(layers)
        if k % every == 0 or not layer.split(".")[-1].isdigit()
    ]
    return {
        "domain": [domain[0], min(1.0, domain[1])],
        "anchor": anchor,
        "range": [-0.6, max(spots.values()) + 0.6],
        "tickvals": [spots[layer] for layer in shown],
        "tickangle": 0,
        "ticktext": [layer_tick(layer) for layer in shown],
        "fixedrange": True,
        "tickfont": {"color": GROUNDS[theme].ink},
    }


def _heading(figure: go.Figure, group: str, corner: tuple[float, float], theme: Theme) -> None:
    words = group.replace(" stream", "<br>stream").replace("-", "-<br>", 1).replace(", ", ",<br>")
    heading(
        figure,
        f"<b>{words[0].upper()}{words[1:]}</b>",
        theme,
        x=corner[0],
        y=corner[1],
        up=6,
        align="left",
    )


def overview_finding(result: Result) -> str:
    """Return how much more alike the models are, in a sentence."""
    points = [p for p in overview_points(result) if p.before is not None and p.after is not None]
    if not points:
        return ""
    before, after = (
        sum(getattr(p, name) or 0.0 for p in points) / len(points) for name in ("before", "after")
    )
    return (
        f"Mean cosine of matched coordinates: {number(before, digits=2)} before alignment, "
        f"{number(after, digits=2)} after."
    )


def overview_caption(result: Result) -> str:
    """A caption for the overview that would stand in a paper."""
    a, b = result["models"]
    size = (
        f" ({result['parameters']:,} parameters each)"
        if result.get("parameters") and not result.get("wider")
        else ""
    )
    method = method_title(result["method"])
    sentences = [
        f"How alike {a} and {b}{size} are in every layer before (hollow) and after (filled) {b} "
        "was brought into the "
        f"coordinates of {a} by {method} ({classes_sentence(result['classes'])}).",
        "Mean over matched coordinates of the cosine between their parameters; heads and experts "
        "by the best that is within them.",
        "The aligned model computes what the original does: largest relative difference of the "
        f"outputs {number(result['function_error'], digits=2)}.",
    ]
    return " ".join(filter(None, [*sentences, version_sentence(result)]))


def spaces_table(result: Result) -> Table:
    """Every copy of every space: its class, how alike it was and is, and what moved it."""
    rows = []
    for entry in result["spaces"]:
        layer = layer_title(entry["layers"][0]) if len(entry["layers"]) == 1 else "all"
        for copy in range(entry["copies"]):
            facts = (
                entry[name][copy] if entry[name] else None
                for name in ("moved", "flipped", "angle", "distance", "condition")
            )
            name = copy_title(entry, copy) if entry["within"] else None
            about = (space_title(entry), layer, name, entry["class"], entry["size"])
            rows.append((*about, entry["before"][copy], entry["after"][copy], *facts))
    return Table.of(HEADER, rows)


def short_table(result: Result) -> Table:
    """The same with copies together: means over them, the sum of what moved, the largest condition
    number.
    """
    rows = []
    for entry in result["spaces"]:
        layer = layer_title(entry["layers"][0]) if len(entry["layers"]) == 1 else "all"
        size = (
            f"{entry['copies']} \u00d7 {entry['size']}"
            if entry["copies"] > 1
            else f"{entry['size']:,}"
        )
        before, after = (_mean(entry[name]) for name in ("before", "after"))
        rows.append(
            (space_title(entry), layer, entry["class"], size, before, after, *_found(entry))
        )
    return Table.of(
        ("space", "layer", "class", "coordinates", "cosine before", "after", "found", "condition"),
        rows,
    )


def _found(entry: Result) -> tuple[str, float | None]:
    """What an element did, over all copies, and its largest condition number."""
    worst = max(entry["condition"] or [], default=None)
    if entry["moved"] is not None:
        signs = f", {sum(entry['flipped']):,} signs" if any(entry["flipped"]) else ""
        return f"{sum(entry['moved']):,} moved{signs}", worst
    angle = _mean(entry["angle"])
    return ("mixed" if angle is None else f"{angle:.0f}\u00b0 on average"), worst


def _mean(values: list[float | None] | None) -> float | None:
    known = [value for value in values or [] if value is not None]
    return sum(known) / len(known) if known else None


def alignment_headline(result: Result) -> tuple[str, float | None]:
    """Return the mean cosine of what was matched, before and after."""
    points = overview_points(result)
    rises = [(p.before, p.after) for p in points if p.before is not None and p.after is not None]
    if not rises:
        return "\u2013", None
    before, after = (sum(values) / len(rises) for values in zip(*rises, strict=True))
    return f"cosine {number(before)} \u2192 {number(after)}", after


PICTURE = Picture(
    name="Alignment",
    draw=lambda found, labels, theme, height: overview_figure(found[0].result, theme),
    caption=one(overview_caption),
    summary=one(short_table),
    numbers=one(spaces_table),
    headline=alignment_headline,
    finding=lambda results, labels: overview_finding(results[0]),
)
