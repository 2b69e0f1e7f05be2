"""What an alignment did to one space: the angles of a map on a circle, what it does to rotary
pairs, its stretches, a permutation as its cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import write
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, faint
from lmc_core.numbers import MINUS, number

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.requests.alignment import SpaceNumbers

BIN = 15  # degrees
HEIGHT = 400  # pixels
INNER, RIM = 0.25, 1.0  # radii between which counts are drawn, and of the circle
NAMED = 20  # coordinates up to which each has its number at the ring
RINGS = 12  # rings that are drawn; shorter cycles are told in words
HIGH, LOW = 400, 260  # pixels
LEAST = 4  # coordinates of a ring of radius 1 at least, so that an exchange of two is small
ROW = 3.4  # width of a row, in units of the largest ring's radius


def circle_figure(
    angles: Sequence[float] | np.ndarray, colour: str, theme: Theme = "light", height: int = HEIGHT
) -> go.Figure:
    """Draw the eigenvalues of an orthogonal map on the unit circle, and inside how many there are
    for every 15 degrees.

    Args:
        angles: arguments of the eigenvalues, in degrees.
        colour: of what found the map.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    values = np.asarray(angles, dtype=np.float64)
    counts, centres = histogram(values)
    figure = _polar(theme, height, [-180 + 45 * k for k in range(8)], (0, 1.12))
    heights = INNER + (0.9 * RIM - INNER) * counts / max(counts.max(), 1)
    figure.add_barpolar(
        theta=centres,
        r=heights - INNER,
        base=INNER,
        width=BIN * 0.92,
        customdata=counts,
        marker={"color": faint(colour, 0.45), "line": {"width": 0}},
        name="count",
        hovertemplate="%{customdata} near %{theta}<extra></extra>",
    )
    turn = np.linspace(-180, 180, 121)
    figure.add_scatterpolar(
        theta=turn,
        r=np.full(turn.shape, RIM),
        mode="lines",
        name="circle",
        line={"color": GROUNDS[theme].muted, "width": 1},
        hoverinfo="skip",
    )
    figure.add_scatterpolar(
        theta=values,
        r=np.full(values.shape, RIM),
        mode="markers",
        name="eigenvalues",
        marker={"size": 7, "color": colour, "line": {"color": GROUNDS[theme].paper, "width": 1}},
        hovertemplate="%{theta:.1f}<extra></extra>",
    )
    mean = float(np.abs(values).mean()) if values.size else float("nan")
    write(
        figure,
        f"<b>{number(mean)}°</b><br>mean",
        (0.5, 0.5),
        (BODY, GROUNDS[theme].ink),
        name="mean",
        paper="xy",
    )
    return figure


def histogram(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many angles are nearest to every multiple of 15 degrees, and these multiples; 180 and
    -180 are one.
    """
    nearest = np.round(np.asarray(angles, dtype=np.float64) / BIN).astype(int)
    nearest[nearest == -180 // BIN] = 180 // BIN
    centres = np.arange(-180 // BIN + 1, 180 // BIN + 1)
    return np.array([(nearest == centre).sum() for centre in centres]), centres * BIN


def pairs_figure(
    phases: np.ndarray,
    stretches: np.ndarray,
    colour: str,
    theme: Theme = "light",
    height: int = HEIGHT,
) -> go.Figure:
    """Draw the complex number of every rotary pair: its angle, and its length as the distance from
    the centre.

    Args:
        phases: in degrees, `[pairs]`, the fastest pair first.
        stretches: `[pairs]`.
        colour: of what found the map.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground = GROUNDS[theme]
    top = max(1.2, 1.15 * float(np.max(stretches, initial=1.0)))
    figure = _polar(theme, height, [-180 + 45 * k for k in range(8)], (0, top))
    turn = np.linspace(-180, 180, 121)
    figure.add_scatterpolar(
        theta=turn,
        r=np.ones(turn.shape),
        mode="lines",
        line={"color": ground.muted, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="length 1",
    )
    order, few = np.arange(len(phases)), len(phases) <= 16
    for k in order:
        figure.add_scatterpolar(
            theta=[phases[k]] * 2,
            r=[0, stretches[k]],
            mode="lines",
            hoverinfo="skip",
            name="pair",
            line={"color": faint(colour, 0.35), "width": 1.5},
        )
    figure.add_scatterpolar(
        theta=phases,
        r=stretches,
        mode="markers+text",
        customdata=order,
        text=[str(k) for k in order] if few else None,
        textposition="top center",
        textfont={"size": SMALL, "color": ground.ink},
        name="pairs",
        marker={"size": 8, "color": colour, "line": {"color": ground.paper, "width": 1}},
        hovertemplate="pair %{customdata}: turned by %{theta:.1f}, times %{r:.3f}<extra></extra>",
    )
    return figure


def stretch_figure(
    singular: np.ndarray, colour: str, theme: Theme = "light", height: int = 260
) -> go.Figure:
    """Draw the singular values of a map, largest first, on a logarithmic axis around 1.

    Args:
        singular: decreasing, `[n]`.
        colour: of what found the map.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    values = np.asarray(singular, dtype=np.float64)
    figure = blank(theme, height)
    figure.add_scatter(
        x=np.arange(1, len(values) + 1),
        y=values,
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": 5},
        hovertemplate="number %{x}: %{y:.4f}<extra></extra>",
        name="singular values",
    )
    figure.add_hline(y=1, line={"color": GROUNDS[theme].muted, "width": 1, "dash": "dot"})
    figure.update_layout(
        margin={"l": 52, "r": 12, "t": 12, "b": 44},
        showlegend=False,
        xaxis={
            "title": {
                "text": "singular value, largest first",
                "standoff": 6,
                "font": {"size": SMALL},
            },
            "fixedrange": True,
        },
        yaxis={"type": "log", "fixedrange": True, "nticks": 5, "minor": {"showgrid": False}},
    )
    return figure


def _degrees(value: int) -> str:
    """A tick, such as -90\u00b0 with a proper minus; 180\u00b0 has no sign."""
    return f"{MINUS if -180 < value < 0 else ''}{abs(value)}\u00b0"


def _polar(theme: Theme, height: int, ticks: list[int], reach: tuple[float, float]) -> go.Figure:
    ground = GROUNDS[theme]
    words: dict[str, object] = {
        "tickfont": {"size": SMALL, "color": ground.muted},
        "gridcolor": ground.grid,
        "showline": False,
    }
    figure = blank(theme, height)
    figure.update_layout(
        margin={"l": 40, "r": 40, "t": 28, "b": 28},
        showlegend=False,
        dragmode=False,
        polar={
            "bgcolor": ground.paper,
            "radialaxis": {"visible": False, "range": list(reach)},
            "angularaxis": {
                **words,
                "tickvals": ticks,
                "ticktext": [_degrees(t) for t in ticks],
                "direction": "counterclockwise",
                "rotation": 0,
                "ticks": "",
            },
        },
    )
    return figure


def find_cycles(indices: Sequence[int] | np.ndarray) -> list[list[int]]:
    """The cycles of a permutation, longest first; the next of each is what came to the place of the
    one before.

    Args:
        indices: which coordinate came to each place, `[n]`.
    """
    order, left, found = [int(i) for i in indices], set(range(len(indices))), []
    while left:
        at = min(left)
        cycle = []
        while at in left:
            left.remove(at)
            cycle.append(at)
            at = order[at]
        found.append(cycle)
    return sorted(found, key=lambda cycle: -len(cycle))


def cycles_words(cycles: Sequence[Sequence[int]]) -> str:
    """Say how many cycles of which lengths there are: "cycles of 210, 88 and 2 x 3; 5 stayed"."""
    lengths = [len(cycle) for cycle in cycles]
    stayed = lengths.count(1)
    longer = [
        f"{lengths.count(k)} \u00d7 {k}" if lengths.count(k) > 1 else str(k)
        for k in sorted({*lengths} - {1}, reverse=True)
    ]
    parts = []
    if longer:
        listed = longer[0] if len(longer) == 1 else f"{', '.join(longer[:-1])} and {longer[-1]}"
        parts.append(f"{'a cycle' if sum(k > 1 for k in lengths) == 1 else 'cycles'} of {listed}")
    if stayed:
        parts.append(f"{stayed} stayed")
    return "; ".join(parts)


def cycles_figure(
    indices: Sequence[int] | np.ndarray,
    colour: str,
    theme: Theme = "light",
    height: int | None = None,
) -> go.Figure:
    """Draw each cycle as a ring whose length is its number of coordinates.

    Args:
        indices: which coordinate came to each place, `[n]`.
        colour: of what found the permutation.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels; by default less for few coordinates.
    """
    named = len(indices) <= NAMED
    figure = blank(theme, height or (LOW if named else HIGH))
    rings = [cycle for cycle in find_cycles(indices) if named or len(cycle) > 1]
    rings = rings if named else rings[:RINGS]
    packed = _packed([len(cycle) for cycle in rings])
    for cycle, (x, y, radius) in zip(rings, packed, strict=True):
        _ring(figure, cycle, (x, y, radius if len(cycle) > 1 else 0.0), colour, theme, named)
    low = min([-1.0, *(y - radius for _, y, radius in packed)])
    hidden = {"visible": False, "fixedrange": True}
    figure.update_layout(
        margin={"l": 16, "r": 16, "t": 16, "b": 16},
        showlegend=False,
        xaxis={**hidden, "range": [-0.2, ROW + 0.2], "constrain": "domain"},
        yaxis={
            **hidden,
            "range": [low - 0.2, 0.2],
            "scaleanchor": "x",
            "scaleratio": 1,
            "constrain": "domain",
        },
    )
    return figure


def _ring(
    figure: go.Figure,
    cycle: list[int],
    place: tuple[float, float, float],
    colour: str,
    theme: Theme,
    named: bool,
) -> None:
    """One cycle as a ring with its coordinates as dots, clockwise from the top; one coordinate as a
    grey dot.
    """
    ground, (x, y, radius) = GROUNDS[theme], place
    if radius:
        turn = np.linspace(0, 2 * np.pi, 121)
        figure.add_scatter(
            x=x + radius * np.cos(turn),
            y=y + radius * np.sin(turn),
            mode="lines",
            hoverinfo="skip",
            name="ring",
            line={"color": faint(colour, 0.5), "width": 1.5},
        )
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(cycle)) / len(cycle)
    figure.add_scatter(
        x=x + radius * np.cos(angles),
        y=y + radius * np.sin(angles),
        mode="markers+text" if named else "markers",
        name="cycle",
        customdata=list(zip(cycle[1:] + cycle[:1], cycle, strict=True)),
        text=[str(k) for k in cycle] if named else None,
        marker={"color": colour if radius else ground.muted, "size": 22 if named else 5},
        textfont={"color": ground.paper, "size": SMALL},
        hovertemplate="%{customdata[0]} of B came to %{customdata[1]}<extra></extra>",
    )
    if len(cycle) > 2:
        ink = {"color": ground.ink, "size": SMALL}
        figure.add_annotation(
            text=f"<b>{len(cycle)}</b>", x=x, y=y, showarrow=False, font=ink, name="length"
        )


def _packed(lengths: Sequence[int]) -> list[tuple[float, float, float]]:
    """Centres and radii of rings in rows, the largest of radius 1 at most; radii grow with the
    root, for small ones to show.
    """
    largest = max([LEAST, *lengths])
    radii = [max(0.14, (length / largest) ** 0.5) if length > 1 else 0.14 for length in lengths]
    gap, x, y, found, row = 0.3, 0.0, 0.0, [], 0.0
    for radius in radii:
        if found and x + 2 * radius > ROW:
            x, y, row = 0.0, y - row - gap, 0.0
        row = max(row, 2 * radius)
        found.append((x + radius, y - radius, radius))
        x += 2 * radius + gap
    return found


def element_words(entry: SpaceNumbers, copy: int) -> str:
    """What the alignment did to a space, in a sentence."""
    distance = number((entry["distance"] or [None])[copy])
    if entry["moved"] is not None:
        moved, flipped = entry["moved"][copy], entry["flipped"][copy] if entry["flipped"] else 0
        if not moved and not flipped:
            return "Nothing changed places."
        signs = f", {flipped:,} changed sign" if flipped else ""
        return (
            f"{moved:,} of {entry['size']:,} changed places{signs}. Distance to staying: "
            f"{distance} (0 to 1.41)."
        )
    if entry["angle"] is None:
        return f"Distance to the identity: {distance}."
    stretch = entry["condition"][copy] if entry["condition"] else None
    keeps = not stretch or stretch < 1.001
    lengths = "It keeps lengths." if keeps else f"It stretches: condition number {number(stretch)}."
    return (
        f"Mean angle {number(entry['angle'][copy])}\u00b0 (the identity has 0\u00b0, a random "
        "rotation 90\u00b0), distance to "
        f"the identity {distance} (a random rotation: 1.41). {lengths}"
    )
