"""A permutation as its cycles: a ring for each, longest first, and what stayed as dots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.style import GROUNDS, SMALL, Theme, faint, template

NAMED = 20  # coordinates up to which each has its number at the ring
RINGS = 12  # rings that are drawn; shorter cycles are told in words
HEIGHT, LOW = 400, 260  # pixels
LEAST = 4  # coordinates of a ring of radius 1 at least, so that an exchange of two is small
ROW = 3.4  # width of a row, in units of the largest ring's radius


def cycles_of(indices: Sequence[int] | np.ndarray) -> list[list[int]]:
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
    figure = go.Figure(
        layout={"template": template(theme), "height": height or (LOW if named else HEIGHT)}
    )
    rings = [cycle for cycle in cycles_of(indices) if named or len(cycle) > 1]
    rings = rings if named else rings[:RINGS]
    packed = _packed([len(cycle) for cycle in rings])
    for cycle, (x, y, radius) in zip(rings, packed, strict=True):
        _ring(figure, cycle, (x, y, radius if len(cycle) > 1 else 0.0), colour, theme, named)
    low = min([-1.0, *(y - radius for _, y, radius in packed)])
    blank = {"visible": False, "fixedrange": True}
    figure.update_layout(
        margin={"l": 16, "r": 16, "t": 16, "b": 16},
        showlegend=False,
        xaxis={**blank, "range": [-0.2, ROW + 0.2], "constrain": "domain"},
        yaxis={
            **blank,
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
