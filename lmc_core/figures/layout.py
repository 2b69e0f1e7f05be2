"""Where labels go: apart from each other, and as near as possible to what they name."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import plotly.graph_objects as go

from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme

UPRIGHT = ("top", "middle", "bottom")  # anchors of y


def spread(
    wanted: Sequence[float], gap: float | Sequence[float], low: float, high: float
) -> list[float]:
    """Return positions in the order of `wanted` that keep their distance, with the least sum of
    squared moves.

    Neighbours in rank are at least the mean of their two sizes apart. Groups that would overlap
    are pooled around their common mean (pool adjacent violators; Barlow et al. 1972), then the
    whole is kept in [low, high] as far as it fits; both steps are exact.

    Args:
        wanted: positions of centres, e.g. in pixels, in any order.
        gap: least distance of two positions; or the size of each, whose edges then stay in
            [low, high].
        low: smallest position, or lowest edge.
        high: largest position, or highest edge.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    alike = isinstance(gap, int | float)
    sizes = [0.0] * len(wanted) if isinstance(gap, int | float) else [gap[i] for i in order]
    steps = [
        float(gap) if isinstance(gap, int | float) else (one + other) / 2
        for one, other in pairwise(sizes)
    ]
    offsets = list(accumulate(steps, initial=0.0))[: len(order)]
    pools: list[list[float]] = []  # sum of (wanted - offset), count
    for rank, index in enumerate(order):
        pools.append([wanted[index] - offsets[rank], 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + count]
    bases = [total / count for total, count in pools for _ in range(int(count))]
    edges = (0.0, 0.0) if alike or not sizes else (sizes[0] / 2, sizes[-1] / 2)
    top = high - edges[1] - (offsets[-1] if offsets else 0.0)
    result = [0.0] * len(order)
    for rank, index in enumerate(order):
        result[index] = max(min(bases[rank], top), low + edges[0]) + offsets[rank]
    return result


def stacked(heights: Sequence[float], gap: float, clear: float) -> list[float]:
    """Return label positions above lines: near each line, or, where lines are closer than labels,
    above the highest of them.

    Args:
        heights: of the lines, in pixels upwards.
        gap: least distance of two label centres.
        clear: least distance of a label's centre from the highest line of its group.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    groups: list[list[int]] = []
    for index in order:
        near = groups and heights[index] - heights[groups[-1][-1]] < clear + gap / 2
        if near:
            groups[-1].append(index)
        else:
            groups.append([index])
    result = [0.0] * len(heights)
    for group in groups:
        for rank, index in enumerate(group):
            result[index] = heights[group[-1]] + clear + rank * gap
    return result


def fresh(position: float, taken: Sequence[float], gap: float, direction: float) -> float:
    """Return the position nearest to `position`, going in `direction`, that is at least `gap` from
    all those taken.
    """
    while any(abs(position - other) < gap * 0.999 for other in taken):
        position += direction * gap
    return position


def padded(low: float, high: float, below: float, above: float) -> tuple[float, float]:
    """Return a range with shares of its extent added at both ends; a single value gets a range
    around it.
    """
    extent = high - low
    if extent <= 1e-9 * max(abs(low), abs(high), 1e-3):
        extent = max(abs(high), 1.0) * 0.1
        low, high = low - extent / 2, high + extent / 2
    return low - below * extent, high + above * extent


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of about so many characters, with HTML line breaks; a long word is
    left whole.
    """
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "<br>".join(lines) or text


def write(
    figure: go.Figure,
    text: str,
    at: tuple[object, object],
    font: tuple[float, str | None],
    *,
    name: str | None = None,
    paper: str = "",
    anchor: str = "",
    shift: tuple[float | None, float | None] = (None, None),
    **more: object,
) -> None:
    """Write a text without an arrow.

    Args:
        figure: to write in.
        text: what to write.
        at: x and y.
        font: size in pixels, and colour; None for that of the figure.
        name: by which the annotation is found.
        paper: which of ``x`` and ``y`` are shares of the plot, not values of an axis.
        anchor: which part of the text is there, "left bottom".
        shift: pixels to the right, and upwards.
        more: of the annotation, by Plotly's names.
    """
    size, colour = font
    values: dict[str, object] = {f"{axis}ref": "paper" for axis in paper}
    values |= {("y" if word in UPRIGHT else "x") + "anchor": word for word in anchor.split()}
    values |= {f"{axis}shift": by for axis, by in zip("xy", shift, strict=True) if by is not None}
    values |= {"font": {"size": size} | ({"color": colour} if colour else {})}
    figure.add_annotation(
        text=text, x=at[0], y=at[1], showarrow=False, name=name, **(values | more)
    )


def heading(
    figure: go.Figure,
    text: str,
    theme: Theme | None,
    *,
    up: float,
    x: float = 0,
    y: float = 1,
    left: float | None = None,
    **more: object,
) -> None:
    """Write the heading of a panel above its left end.

    Args:
        figure: to write in.
        text: what to write.
        theme: of the figure; None to leave the colour to it.
        up: pixels above the plot.
        x: left end of the panel, as a share of the plot.
        y: its upper end.
        left: pixels that it starts to the right of it, below 0 to the left.
        more: of the annotation, by Plotly's names.
    """
    font = (BODY, GROUNDS[theme].ink if theme else None)
    write(
        figure,
        text,
        (x, y),
        font,
        name="heading",
        paper="xy",
        anchor="left bottom",
        shift=(left, up),
        **more,
    )


def legend_row(y: float, anchor: str) -> dict[str, object]:
    """Return a legend in a row from the left end of the plot.

    Args:
        y: where it stands, as a share of the plot.
        anchor: its part that stands there, ``top`` or ``bottom``.
    """
    return {"orientation": "h", "x": 0, "xanchor": "left", "y": y, "yanchor": anchor}


def bar_title(text: str) -> dict[str, object]:
    """Return the title above a horizontal scale of colours.

    Plotly has its letters touch the colours, so the line is one for larger letters.
    """
    return {
        "text": f"<span style='font-size:{SMALL}px'>{text}</span>",
        "side": "top",
        "font": {"size": SMALL + 4},
    }


def name_ends(
    figure: go.Figure,
    models: Sequence[str],
    theme: Theme,
    left: float,
    right: float,
    drop: float = 24,
) -> None:
    """Write the first name from the left edge of the figure, and the second up to the right one.

    A long name below a tick would reach over the edge, where Plotly hides it together with its
    number.

    Args:
        figure: whose axes end at lambda 0 and 1.
        models: both names.
        theme: of the figure.
        left: pixels from the left end of the axis that the first may reach out.
        right: the same at the right end.
        drop: pixels below the axis.
    """
    for place, (name, anchor, shift) in enumerate(
        zip(models, ("left", "right"), (-left, right), strict=True)
    ):
        write(
            figure,
            f"<b>{name}</b>",
            (place, 0),
            (BODY, GROUNDS[theme].ink),
            name="model",
            paper="xy",
            anchor="top",
            shift=(shift, -drop),
            xanchor=anchor,
        )


def frame_cell(
    figure: go.Figure,
    axes: tuple[str, str],
    column: int,
    row: int,
    line: Mapping[str, object],
    name: str,
) -> None:
    """Draw a frame around one cell of a heatmap.

    Args:
        figure: to draw in.
        axes: names of both axes.
        column: of the cell, from 0.
        row: likewise.
        line: its colour and width.
        name: of the shape.
    """
    figure.add_shape(
        type="rect",
        xref=axes[0],
        yref=axes[1],
        x0=column - 0.46,
        x1=column + 0.46,
        y0=row - 0.46,
        y1=row + 0.46,
        line=dict(line),
        name=name,
    )
