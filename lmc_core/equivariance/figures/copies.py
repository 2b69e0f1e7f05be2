"""The network and its moved copy: the loss on the line between them, and what averaging all copies
gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import BRANCHES, FORMS, Run, layer_title
from lmc_core.equivariance.figures.setting import BAND, Drawing, ending, shorten
from lmc_core.figures.layout import heading, stacked, write
from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, SMALL, Theme, faint
from lmc_core.figures.tables import Table
from lmc_core.look import Look
from lmc_core.numbers import estimate, number, percent

SIDE, FOOT = 56, 30  # pixels
CURVES, MIDDLE = 300, 84  # pixels of the curves, and between them and the dots
ROW = 44  # pixels of a merge
LABEL = 18  # pixels between two labels
# what brings the copy back; the group leads to the projection and has its colour
LOOKS: dict[str, Look] = {
    "naive": Look("as it is", MEANINGS["plain"].light, MEANINGS["plain"].dark, "5px,3px", "circle"),
    "matched": Look(
        "matched by weights",
        MEANINGS["permutation"].light,
        MEANINGS["permutation"].dark,
        "11px,4px",
        "square",
    ),
    "activation": Look(
        "matched by activations",
        MEANINGS["activation"].light,
        MEANINGS["activation"].dark,
        "12px,3px,3px,3px",
        "triangle-up",
    ),
    "group": Look("by the group", FORMS["strict"].light, FORMS["strict"].dark, "solid", "diamond"),
}
MERGES = {
    "network": "the network itself",
    "naive": "mean of copies as they are",
    "matched": "mean, matched by weights",
    "activation": "mean, matched by activations",
    "group": "mean, by the group",
    "projection": "projection P(W)",
}


@dataclass(frozen=True)
class Merge:
    """What one way to merge the copies gives.

    Attributes:
        key: of `MERGES`.
        name: for people.
        loss: held out, in nats.
        stderr: its standard error.
        accuracy: held out.
    """

    key: str
    name: str
    loss: float
    stderr: float
    accuracy: float


def find_merges(run: Run) -> list[Merge]:
    """Return the merges of a run in the order of `MERGES`; none where the result has no copies."""
    found = (run.copies or {}).get("merges") or {}
    return [
        Merge(
            key,
            name,
            float(found[key]["loss"]),
            float(found[key].get("stderr") or 0.0),
            float(found[key]["accuracy"]),
        )
        for key, name in MERGES.items()
        if key in found
    ]


def copy_name(run: Run) -> str:
    """Return what the moved copy is called: "copy turned by 90°", "mirrored copy", "copy for the
    order 213".
    """
    element = str((run.copies or {}).get("element", ""))
    if run.facts.get("acts") == "set":
        return f"copy for the order {element}"
    if element.startswith("mirror"):
        return (
            "mirrored copy"
            if element == "mirror"
            else f"copy mirrored, {element.removeprefix('mirror ')}"
        )
    return f"copy turned by {element}"


def copies_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the loss between the network and its moved copy for every way to bring the copy back,
    and the merges as dots.

    Args:
        run: a finished one whose result has copies; else the axes are empty.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default what the rows need.
    """
    copies, merges = run.copies, find_merges(run)
    if copies is None:
        words = (
            "This result is without moved copies."
            if run.finished
            else "Copies are compared at the end."
        )
        return axes.nothing(axes.new(theme, height or CURVES), words, theme)
    dots = ROW * len(merges)
    tall = height or axes.HEAD + CURVES + MIDDLE + dots + FOOT
    figure = axes.new(theme, tall)
    inner = tall - axes.HEAD - FOOT
    floor = dots / inner if merges else 0.0
    top = axes.Panel("x", "y", inner * (1 - floor) - (MIDDLE if merges else 0))
    ground = GROUNDS[theme]
    figure.update_layout(
        margin={"l": SIDE, "r": 24, "t": axes.HEAD, "b": FOOT, "autoexpand": False},
        xaxis={
            "anchor": "y",
            "range": [0, 1],
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "fixedrange": True,
        },
        yaxis={"domain": [1 - top.pixels / inner, 1], "fixedrange": True, "nticks": 5},
    )
    _heading(figure, "<b>Loss to a moved copy</b> (nats), with barriers", 1.0, theme)
    _curves(figure, run, top, theme)
    for place, name, anchor in ((0, "network", "left"), (1, copy_name(run), "right")):
        write(
            figure,
            f"<b>{name}</b>",
            (place, 1 - top.pixels / inner),
            (BODY, ground.ink),
            name="model",
            paper="xy",
            anchor="top",
            shift=((-40, 16)[place], -22),
            xanchor=anchor,
        )
    if merges:
        _heading(figure, "<b>Loss of means of weights</b> (nats), accuracy", floor, theme)
        _dots(figure, merges, (floor, dots), theme)
    return figure


def _heading(figure: go.Figure, text: str, top: float, theme: Theme) -> None:
    heading(figure, text, theme, y=top, left=4 - SIDE, up=6)


def _curves(figure: go.Figure, run: Run, panel: axes.Panel, theme: Theme) -> None:
    """The lines with bands, each labelled above its middle by what was done and its barrier."""
    assert run.copies is not None
    lam, curves = np.asarray(run.copies["lam"], dtype=float), run.copies["curves"]
    known = [(look, curves[key]) for key, look in LOOKS.items() if key in curves]
    losses = [np.asarray(curve["loss"], dtype=float) for _, curve in known]
    reach = axes.limits(figure, panel, losses, (0.0,), (LABEL * len(losses) + 14) / panel.pixels)
    for (look, curve), loss in zip(known, losses, strict=True):
        error, colour = (
            np.asarray(curve.get("stderr") or np.zeros(len(loss)), dtype=float),
            look.colour(theme),
        )
        figure.add_scatter(
            x=np.concatenate([lam, lam[::-1]]),
            y=np.concatenate([loss + error, (loss - error)[::-1]]),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=faint(colour, 0.14),
            hoverinfo="skip",
            name="one standard error",
            **panel.axes,
        )
        figure.add_scatter(
            x=lam,
            y=loss,
            mode="lines",
            name=look.name,
            line={"color": colour, "dash": look.dash, "width": 2.5},
            **panel.axes,
            hovertemplate=f"<b>{look.name}</b><br>%{{x:.2f}} of the copy: %{{y:.3f}} "
            "nats<extra></extra>",
        )
    figure.add_scatter(
        x=[0, 1],
        y=[losses[0][0], losses[0][-1]],
        mode="lines",
        name="chord",
        hoverinfo="skip",
        **panel.axes,
        line={"color": GROUNDS[theme].muted, "width": 1.5, "dash": "dash"},
    )
    scale, middle = panel.pixels / (reach[1] - reach[0]), len(lam) // 2
    heights = [scale * (float(loss[middle]) - reach[0]) for loss in losses]
    rising = losses[0][-1] - losses[0][0]  # then what is above the middle is free on one side alone
    side = (
        "center" if abs(rising) < 0.3 * (reach[1] - reach[0]) else "right" if rising > 0 else "left"
    )
    for (look, curve), at, level in zip(known, heights, stacked(heights, LABEL, 14), strict=True):
        write(
            figure,
            f"<b>{look.name}</b> {estimate(curve.get('barrier'), curve.get('barrier_stderr'))}",
            (float(lam[middle]), at / scale + reach[0]),
            (SMALL, look.colour(theme)),
            name="label",
            shift=(None, level - at),
            xref="x",
            yref="y",
            xanchor=side,
            bgcolor=faint(GROUNDS[theme].paper, 0.8),
        )


def _dots(
    figure: go.Figure, merges: Sequence[Merge], place: tuple[float, int], theme: Theme
) -> None:
    """One row for each way to merge: its name with the dot below, numbers at the right."""
    ground = GROUNDS[theme]
    top = max(merge.loss + merge.stderr for merge in merges)
    figure.update_layout(
        xaxis2={
            "anchor": "y2",
            "range": [0, 1.06 * top],
            "fixedrange": True,
            "nticks": 6,
            "showgrid": True,
            "gridcolor": ground.grid,
        },
        yaxis2={
            "anchor": "x2",
            "domain": [0, place[0]],
            "range": [len(merges) - 0.5, -0.5],
            "visible": False,
            "fixedrange": True,
        },
    )
    projection = next((merge.loss for merge in merges if merge.key == "projection"), None)
    if projection is not None:
        figure.add_shape(
            type="line",
            xref="x2",
            yref="y2 domain",
            x0=projection,
            x1=projection,
            y0=0,
            y1=1,
            layer="below",
            name="projection",
            line={"color": FORMS["strict"].colour(theme), "width": 1.5, "dash": "dot"},
        )
    for row, merge in enumerate(merges):
        _dot(figure, merge, row, theme)


def _dot(figure: go.Figure, merge: Merge, row: int, theme: Theme) -> None:
    """One way to merge: its dot, with its name and numbers above."""
    ground = GROUNDS[theme]
    said = f"{estimate(merge.loss, merge.stderr, 'nats')}, {percent(merge.accuracy)}"
    look = {"network": BRANCHES["on"], "projection": BRANCHES["off"], **LOOKS}[merge.key]
    colour = look.colour(theme)
    figure.add_scatter(
        x=[merge.loss],
        y=[row + 0.2],
        mode="markers",
        xaxis="x2",
        yaxis="y2",
        name=merge.name,
        meta={"merge": merge.key},
        marker={"size": 11, "symbol": look.marker, "color": colour},
        cliponaxis=False,
        error_x={
            "type": "data",
            "array": [merge.stderr],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
        hovertemplate=f"<b>{merge.name}</b><br>{said}<extra></extra>",
    )
    for x, anchor, text in (
        (0, "left", merge.name),
        (1, "right", f"{number(merge.loss)}, {percent(merge.accuracy)}"),
    ):
        write(
            figure,
            text,
            (x, row - 0.2),
            (SMALL, ground.ink if x else colour),
            name="merge",
            paper="x",
            shift=(4 if x == 0 else 0, None),
            xanchor=anchor,
            yref="y2",
            bgcolor=faint(ground.paper, 0.75),
            borderpad=1,
        )


def copies_caption(run: Run) -> str:
    """Return a caption of `copies_figure` that would stand in a paper."""
    copies = run.copies
    if copies is None:
        return (
            "This result is without moved copies."
            if run.finished
            else "Copies are compared at the end of the training."
        )
    agree = ", ".join(
        f"{layer_title(space)} {share:.0%}" for space, share in (copies.get("agree") or {}).items()
    )
    said = [
        f"Above: held-out loss on the straight line from the network f to its {copy_name(run)}, "
        "f(g\u207b\u00b9x), with hidden units where they are, matched by weights or by "
        f"activations, and placed as the group acts on them; bands show {BAND}, numbers the "
        "barrier, the largest excess over the chord (dashed) between the ends. Below: the mean of "
        "the weights of all copies. Their mean aligned by the group is the projection"
    ]
    if copies.get("group_is_projection") is not None:
        said[0] += (
            " (largest relative difference of weights "
            f"{number(float(copies['group_is_projection']), digits=2)})"
        )
    said[0] += "."
    if agree:
        said.append(
            "Share of the units that matching by weights sends where the group sends them: "
            f"{agree}."
        )
    if copies.get("function_error") is not None:
        said.append(
            "Copies compute what they should up to "
            f"{number(float(copies['function_error']), digits=2)} (relative)."
        )
    return " ".join([*said, ending([run])])


def copies_alt(run: Run) -> str:
    """Return what `copies_figure` shows in a sentence."""
    if run.copies is None:
        return "Empty: no moved copies."
    curves = run.copies["curves"]
    lines = "; ".join(
        f"{look.name} {estimate(curves[key].get('barrier'), curves[key].get('barrier_stderr'))}"
        for key, look in LOOKS.items()
        if key in curves
    )
    dots = "; ".join(f"{merge.name} {number(merge.loss)}" for merge in find_merges(run))
    return shorten(
        f"Barriers in nats between the network and a moved copy: {lines}. Losses in nats: {dots}."
    )


def copies_table(run: Run) -> Table:
    """Return every number of `copies_figure`: the lines, then the merges."""
    header = ("what", "share of the copy", "loss (nats)", "standard error", "accuracy")
    if run.copies is None:
        return Table.of(header, ())
    rows: list[tuple[object, ...]] = []
    for key, look in LOOKS.items():
        curve = run.copies["curves"].get(key)
        if curve:
            errors = curve.get("stderr") or [None] * len(curve["loss"])
            points = zip(run.copies["lam"], curve["loss"], errors, strict=True)
            rows += [
                (f"line to the copy, {look.name}", share, loss, error, None)
                for share, loss, error in points
            ]
    rows += [
        (MERGES[merge.key], None, merge.loss, merge.stderr, merge.accuracy)
        for merge in find_merges(run)
    ]
    return Table.of(header, rows)


COPIES = Drawing(
    "The network and its moved copy", copies_figure, copies_caption, copies_alt, copies_table
)
