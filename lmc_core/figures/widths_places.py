"""Where the units of a narrow model stand in a wide one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, write
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, Theme, faint
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result
from lmc_core.figures.widths import setting_name
from lmc_core.numbers import number

NOBODY = -1
SIDE, TOP, FOOT = 56, 40, 56  # pixels
CLOSER = 12  # narrow units that are drawn one by one
ROW = 17  # pixels for a place in the closer view
SHOWN = 12  # places without an owner that are named there
PANELS = 8  # spaces whose shares are drawn
TINTS = (0.95, 0.6, 0.34, 0.2)  # of the first copy, the second, ...


@dataclass(frozen=True)
class Strip:
    """Which narrow unit each place of one space of the wide model belongs to.

    Attributes:
        name: "units, layer 2".
        owner: narrow unit of each place, `NOBODY` for one that nothing reads.
        shares: what part of the unit's output comes from there.
        units: number of narrow units.
    """

    name: str
    owner: tuple[int, ...]
    shares: tuple[float, ...]
    units: int

    @property
    def empty(self) -> int:
        """How many places nothing reads."""
        return sum(owner == NOBODY for owner in self.owner)

    def copies(self) -> list[list[int]]:
        """The places of every narrow unit, the largest share first."""
        found: list[list[int]] = [[] for _ in range(self.units)]
        for place in sorted(range(len(self.owner)), key=lambda k: -self.shares[k]):
            if self.owner[place] != NOBODY:
                found[self.owner[place]].append(place)
        return found


def strips(result: Result) -> list[Strip]:
    """Return every space of unequal numbers; of mixtures and grouped queries one for each expert or
    group.
    """
    found = []
    for space, places in (result.get("places") or {}).items():
        rows = places["owner"], places["shares"]
        several = bool(rows[0]) and isinstance(rows[0][0], list)
        for number_of, (owner, shares) in enumerate(zip(*rows, strict=True) if several else [rows]):
            name = space_name(space) + (f", part {number_of}" if several else "")
            found.append(Strip(name, tuple(owner), tuple(shares), max(owner) + 1))
    return found


def space_name(space: str) -> str:
    """Return a name for people: "units, layer 2" for ``units.2``."""
    *kind, last = space.split(".")
    return (
        f"{' '.join(reversed(kind))}, layer {last}"
        if kind and last.isdigit()
        else space.replace(".", " ")
    )


def unread(count: int) -> str:
    """Return how many places nothing reads: "12 places are read by no one"."""
    return f"{count:,} place{' is' if count == 1 else 's are'} read by no one"


def map_figure(
    strip: Strip, models: Sequence[str], theme: Theme = "light", height: int = 420
) -> go.Figure:
    """Draw every place as a mark: across the wide model's units, down the narrow model's.

    Args:
        strip: of one space.
        models: names of the narrow and the wide model.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    blue = MEANINGS["orthogonal"].colour(theme)
    figure = blank(theme, height)
    held = [k for k, owner in enumerate(strip.owner) if owner != NOBODY]
    bar = {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": SMALL}, "nticks": 5}
    figure.add_scatter(
        x=held,
        y=[strip.owner[k] for k in held],
        mode="markers",
        name="places",
        marker={
            "symbol": "square",
            "size": 6 if len(strip.owner) <= 512 else 4,
            "color": [strip.shares[k] for k in held],
            "cmin": 0,
            "cmax": 1,
            "colorscale": [[0, faint(blue, 0.15)], [1, blue]],
            "colorbar": {**bar, "title": {"text": "share", "font": {"size": SMALL}}},
        },
        customdata=[number(strip.shares[k], digits=2) for k in held],
        hovertemplate="narrow unit %{y} at place %{x}<br>share of what goes out "
        "%{customdata}<extra></extra>",
    )
    if strip.empty:
        _empty(figure, strip, theme)
    across = f"{strip.name} of {models[1]}, as it numbers them"
    figure.update_xaxes(
        range=[-2, len(strip.owner) + 1], fixedrange=True, title={"text": across, "standoff": 8}
    )
    below = strip.units * (1.12 if strip.empty else 1.02)
    figure.update_yaxes(range=[below, -strip.units * 0.03], fixedrange=True, nticks=6)
    heading(figure, f"<b>Narrow unit</b> ({models[0]})", theme, left=-SIDE, up=10)
    figure.update_layout(
        margin={"l": SIDE, "r": 16, "t": TOP, "b": FOOT}, showlegend=False, hovermode="closest"
    )
    return figure


def _empty(figure: go.Figure, strip: Strip, theme: Theme) -> None:
    """The places without an owner, below the narrow units."""
    muted = GROUNDS[theme].muted
    places = [k for k, owner in enumerate(strip.owner) if owner == NOBODY]
    figure.add_scatter(
        x=places,
        y=[strip.units * 1.04] * len(places),
        mode="markers",
        name="read by no one",
        marker={"symbol": "line-ns", "size": 9, "line": {"width": 1.2, "color": muted}},
        hovertemplate="place %{x}: read by no one<extra></extra>",
    )
    write(
        figure,
        unread(len(places)),
        (0, strip.units * 1.04),
        (SMALL, muted),
        name="empty",
        paper="x",
        anchor="left top",
        shift=(None, -6),
    )


def closer_figure(
    strip: Strip, models: Sequence[str], first: int = 0, theme: Theme = "light"
) -> go.Figure:
    """Draw a few narrow units with lines to their places, as thick as their shares.

    Args:
        strip: of one space.
        models: names of the narrow and the wide model.
        first: the first narrow unit that is drawn, of `CLOSER`.
        theme: ``light``, ``dark`` or ``paper``.
    """
    ground = GROUNDS[theme]
    units = list(range(first, min(first + CLOSER, strip.units)))
    copies = strip.copies()
    rows = [(unit, place) for unit in units for place in copies[unit]]
    empty = [place for place, owner in enumerate(strip.owner) if owner == NOBODY]
    height = TOP + FOOT + ROW * (len(rows) + (2 if empty else 0))
    figure = blank(theme, height)
    at: dict[int, list[int]] = {}
    for row, (unit, _) in enumerate(rows):
        at.setdefault(unit, []).append(row)
    for unit, mine in at.items():
        _copies(figure, strip, unit, mine, [rows[row][1] for row in mine], theme)
    if empty:
        named = ", ".join(str(place) for place in empty[:SHOWN]) + (
            ", \u2026" if len(empty) > SHOWN else ""
        )
        text = f"{unread(len(empty))}: {named}"
        write(
            figure,
            text,
            (0, len(rows) + 0.8),
            (SMALL, ground.muted),
            name="empty",
            paper="x",
            anchor="left",
        )
    figure.update_xaxes(range=[-0.35, 1.6], fixedrange=True, showticklabels=False)
    figure.update_yaxes(
        range=[len(rows) + (1.5 if empty else 0), -1],
        fixedrange=True,
        showticklabels=False,
        showgrid=False,
    )
    heading(
        figure,
        f"<b>{models[0]}</b> \u2192 <b>{models[1]}</b>, {strip.name} (place and share)",
        theme,
        left=-SIDE,
        up=10,
    )
    figure.update_layout(
        margin={"l": SIDE, "r": 16, "t": TOP, "b": 16}, showlegend=False, hovermode="closest"
    )
    return figure


def _copies(
    figure: go.Figure, strip: Strip, unit: int, rows: list[int], places: list[int], theme: Theme
) -> None:
    """One narrow unit with lines to its places, each in its row."""
    ink, blue = GROUNDS[theme].ink, MEANINGS["orthogonal"].colour(theme)
    centre = sum(rows) / len(rows)
    _text(figure, 0.0, centre, f"unit {unit}", "right", ink)
    for row, place in zip(rows, places, strict=True):
        share = strip.shares[place]
        figure.add_scatter(
            x=[0, 1],
            y=[centre, row],
            mode="lines",
            line={"color": faint(blue, 0.75), "width": max(0.75, 9 * share)},
            name=f"{unit} {place}",
            meta={"unit": unit, "place": place, "share": share},
            hovertemplate=f"unit {unit} at place {place}, share "
            f"{number(share, digits=2)}<extra></extra>",
        )
        _text(figure, 1.0, row, f"place {place}  \u00b7  {number(share, digits=2)}", "left", ink)


def shares_figure(found: Sequence[Strip], theme: Theme = "light") -> go.Figure:
    """Draw how the copies of every narrow unit share what goes out, a panel for each space, units
    by their largest share.

    Args:
        found: the spaces; the first `PANELS` are drawn.
        theme: ``light``, ``dark`` or ``paper``.
    """
    panels = list(found[:PANELS])
    lines = -(-len(panels) // 2)
    figure = blank(theme, TOP + 20 + 150 * max(1, lines))
    for place, strip in enumerate(panels):
        x, y = (f"{axis}{place + 1 if place else ''}" for axis in "xy")
        line, column = divmod(place, 2)
        top, left = 1 - line / lines, column * 0.53
        _bars(figure, strip, x, y, theme)
        down = {
            "domain": [top - 0.72 / lines, top],
            "anchor": x,
            "tickvals": [0, 0.5, 1],
            "range": [0, 1.02],
        }
        across = {"domain": [left, left + 0.47], "anchor": y, "showticklabels": False}
        figure.update_layout(
            {
                f"xaxis{x[1:]}": {**across, "fixedrange": True},
                f"yaxis{y[1:]}": {**down, "fixedrange": True},
            }
        )
        places = f"{strip.units} in {len(strip.owner)}" + (
            f", {strip.empty} unread" if strip.empty else ""
        )
        write(
            figure,
            f"{strip.name} ({places})",
            (left, top - 0.74 / lines),
            (SMALL, GROUNDS[theme].muted),
            name="panel",
            paper="xy",
            anchor="left top",
        )
    heading(figure, "<b>Shares</b> of the copies of each narrow unit", theme, left=-SIDE, up=10)
    figure.update_layout(
        barmode="stack", bargap=0, margin={"l": SIDE, "r": 16, "t": TOP, "b": 16}, showlegend=False
    )
    return figure


def _bars(figure: go.Figure, strip: Strip, x: str, y: str, theme: Theme) -> None:
    """The copies of every unit on top of each other, the largest first."""
    blue = MEANINGS["orthogonal"].colour(theme)
    copies = sorted(strip.copies(), key=lambda mine: -strip.shares[mine[0]])
    for rank in range(max(len(mine) for mine in copies)):
        figure.add_bar(
            x=list(range(len(copies))),
            xaxis=x,
            yaxis=y,
            name=f"copy {rank + 1}",
            meta={"strip": strip.name, "rank": rank},
            y=[strip.shares[mine[rank]] if rank < len(mine) else 0.0 for mine in copies],
            marker={"color": faint(blue, TINTS[min(rank, len(TINTS) - 1)]), "line": {"width": 0}},
            hovertemplate=f"copy {rank + 1}: share %{{y:.2f}}<extra>{strip.name}</extra>",
        )


def _text(figure: go.Figure, x: float, y: float, text: str, side: str, colour: str) -> None:
    write(
        figure,
        text,
        (x, y),
        (SMALL, colour),
        name="place" if side == "left" else "unit",
        shift=(-6 if side == "right" else 6, None),
        xanchor=side,
    )


def places_caption(result: Result, strip: Strip) -> str:
    """Return a caption for the places of one space, in plain text."""
    many = sorted({len(each) for each in strip.copies()})
    copies = f"{many[0]}" if len(many) == 1 else f"{many[0]} to {many[-1]}"
    empty = "no place is left over" if not strip.empty else unread(strip.empty)
    units = f"{strip.units:,} {strip.name.replace(', ', ' of ', 1)}"
    return (
        f"Where the {units} of {result['models'][0]} stand among the {len(strip.owner):,} of "
        f"{result['models'][1]} ({setting_name(result)}): each at {copies} places, which take in "
        f"the same and share what goes out, in parts that sum to 1; {empty}. The residual stream "
        "has no such places: it is turned, so that each of its directions lies across all "
        "coordinates of the wide one."
    )


def places_table(found: Sequence[Strip]) -> Table:
    """Return one row for every place of every space."""
    rows = [
        (strip.name, place, None if owner == NOBODY else owner, None if owner == NOBODY else share)
        for strip in found
        for place, (owner, share) in enumerate(zip(strip.owner, strip.shares, strict=True))
    ]
    return Table.of(("space", "place", "narrow_unit", "share"), rows)
