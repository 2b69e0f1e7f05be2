"""Pictures of lines between networks: the average and its answers, the barrier class by class, what
is left for each family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.style import MEANINGS, faint
from lmc_core.lecture.figures.canvas import Look, axes, canvas, heading, matrix, unknown
from lmc_core.lecture.figures.canvas import ladder as bars_of_barriers
from lmc_core.lecture.figures.stream import mosaic
from lmc_core.lecture.shipped import ClassesCurve, Remains
from lmc_core.numbers import number, percent

if TYPE_CHECKING:
    from lmc_core.lecture.measured import Averages, Positions

SETTINGS = {
    "plain": "plain",
    "permutations": "permutation",
    "weight": "orthogonal",
    "learned": "learned",
}
SHORT = {
    "plain": "plain average",
    "permutations": "permutations",
    "weight": "all, by weights",
    "learned": "all, learned",
}
GLYPHS = {"plain": "\u25cf", "permutations": "\u25a0", "weight": "\u25c6", "learned": "\u271a"}


def meaning_of_choice(choice: ClassesCurve) -> str:
    """The meaning of a choice of classes: plain, permutations, larger classes, learned."""
    if choice.get("learned"):
        return "learned"
    if choice.get("residual") == "orthogonal" or choice.get("planes"):
        return "orthogonal"
    moved = choice.get("units") or choice.get("heads") or choice.get("residual") == "permutation"
    return "permutation" if moved else "plain"


def average_figure(data: Averages, look: Look, at: int, classes: Sequence[str]) -> go.Figure:
    """Draw the loss along the line, and what the network at one of its points says of some images.

    Args:
        data: what was measured.
        look: how to draw it.
        at: number of the point.
        classes: names of the answers.
    """
    figure = canvas(look, left=44, bottom=64, right=4)
    axes(figure, look, 1, (0, 0.48))
    axes(figure, look, 2, (0.56, 1))
    colour, wide = look.colour("plain"), look.scale
    high = max(data.loss)
    figure.add_scatter(
        x=[0, 1],
        y=[data.loss[0], data.loss[-1]],
        mode="lines",
        name="chord",
        hoverinfo="skip",
        line={"color": look.ground.muted, "width": 2 * wide, "dash": "dash"},
    )
    shown = range(len(data.lam)) if look.revealed else (0, len(data.lam) - 1)
    figure.add_scatter(
        x=[data.lam[k] for k in shown],
        y=[data.loss[k] for k in shown],
        mode="lines" if look.revealed else "markers",
        name="loss",
        line={"color": colour, "width": 4 * wide},
        marker={"color": colour, "size": 12 * wide},
        hovertemplate="\u03bb %{x:.1f}: %{y:.2f} nats<extra></extra>",
    )
    if look.revealed or at in (0, len(data.lam) - 1):
        figure.add_scatter(
            x=[data.lam[at]],
            y=[data.loss[at]],
            mode="markers",
            name="here",
            hoverinfo="skip",
            marker={"color": look.ground.ink, "size": 18 * wide},
        )
    if not look.revealed:
        unknown(figure, look, 0.22)
    figure.update_layout(
        xaxis={
            "range": [-0.05, 1.05],
            "tickvals": [0, 0.5, 1],
            "ticktext": ["network A", "half way", "network B"],
            "ticklabelstandoff": int(8 * look.scale),
        },
        yaxis={"range": [0, high * 1.12], "nticks": 5},
    )
    heading(figure, look, "loss, nats", 0, xanchor="left", xshift=-36 * look.scale)
    answers = [
        (str(classes[int(said)]), bool(said == true))
        for said, true in zip(data.answers[at], data.targets, strict=True)
    ]
    _answers(figure, look, data.images, answers, 3)
    heading(figure, look, f"what this network says: {percent(data.accuracy[at], 0)} right", 0.76)
    return figure


def positions_figure(found: Mapping[str, Positions], chosen: str, look: Look, at: int) -> go.Figure:
    """Draw the loss of two networks from as they were trained to their projections, and what one
    says of turned digits.

    Args:
        found: networks by how they were trained, ``free`` and ``led``.
        chosen: the one whose answers are shown.
        look: how to draw it.
        at: number of the point on its way.
    """
    figure = canvas(look, left=44, bottom=64, right=4)
    axes(figure, look, 1, (0, 0.44))
    axes(figure, look, 2, (0.52, 1))
    wide = look.scale
    for name, words, meaning in (
        ("free", "trained freely", "plain"),
        ("led", "led to symmetry", "learned"),
    ):
        data, colour = found[name], look.colour(meaning)
        shown = range(len(data.shares)) if look.revealed else range(at + 1 if name == chosen else 1)
        figure.add_scatter(
            x=[data.shares[k] for k in shown],
            y=[data.loss[k] for k in shown],
            name=name,
            mode="lines" if look.revealed else "lines+markers",
            marker={"color": colour, "size": 10 * wide},
            line={"color": colour, "width": (5 if name == chosen else 3) * wide},
            hovertemplate=words + ", %{x:.0%} averaged: %{y:.2f} nats<extra></extra>",
        )
        if look.revealed:
            _label(figure, look, words, data.loss[6], colour)
    one = found[chosen]
    figure.add_scatter(
        x=[one.shares[at]],
        y=[one.loss[at]],
        mode="markers",
        name="here",
        hoverinfo="skip",
        marker={"color": look.ground.ink, "size": 18 * wide},
    )
    if not look.revealed:
        unknown(figure, look, 0.3)
    figure.update_layout(
        xaxis={
            "range": [-0.05, 1.05],
            "tickvals": [0, 1],
            "ticktext": ["as trained", "average"],
            "ticklabelstandoff": int(8 * wide),
        },
        yaxis={"range": [0, max(max(each.loss) for each in found.values()) * 1.12], "nticks": 5},
    )
    heading(figure, look, "loss, nats", 0, xanchor="left", xshift=-36 * wide)
    _turned(figure, look, one, at)
    return figure


def _label(figure: go.Figure, look: Look, words: str, loss: float, colour: str) -> None:
    """The name of a curve, at its left, where it has that loss."""
    figure.add_annotation(
        text=words,
        x=0.62,
        y=loss,
        xref="x",
        yref="y",
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
        font={"size": look.text, "color": colour},
        name="label",
        xshift=-6 * look.scale,
        yshift=4 * look.scale,
    )


def _turned(figure: go.Figure, look: Look, one: Positions, at: int) -> None:
    """Turned digits with what the chosen network says of them."""
    count = one.images.shape[1]
    answers = [
        (str(said), bool(said == true))
        for row, true in zip(one.answers[at], one.labels, strict=True)
        for said in row
    ]
    _answers(figure, look, one.images.reshape(-1, *one.images.shape[2:]), answers, count, 4)
    heading(figure, look, "what it says of turned digits", 0.76)


def _answers(
    figure: go.Figure,
    look: Look,
    images: np.ndarray,
    answers: Sequence[tuple[str, bool]],
    columns: int,
    gap: int = 8,
) -> None:
    """Images in rows with the answer below each, wrong ones struck out; the gap is in their
    pixels.
    """
    edge = images.shape[1]
    tiles = mosaic(images - images.min(), columns, gap)
    tiles = np.concatenate([tiles, np.full((gap, tiles.shape[1]), np.nan)])
    matrix(figure, look, 2, tiles, float(np.nanmax(tiles)), look.sequential)
    for k, (name, right) in enumerate(answers):
        x, y = (k % columns) * (edge + gap) + edge / 2 - 0.5, (k // columns) * (edge + gap) + edge
        figure.add_annotation(
            x=x,
            y=y,
            xref="x2",
            yref="y2",
            yanchor="top",
            showarrow=False,
            name="answer",
            text=f"\u2713 {name}" if right else f"\u2717 <s>{name}</s>",
            font={
                "size": look.text * 0.94,
                "color": look.ground.ink if right else look.colour("learned"),
            },
        )


def classes_figure(
    lam: Sequence[float],
    plain: ClassesCurve,
    now: ClassesCurve,
    ladder: Sequence[tuple[str, float, float]],
    look: Look,
) -> go.Figure:
    """Draw the loss along the line for the classes that are on, over that of the plain average; and
    the ladder of all.

    Args:
        lam: points of the curves.
        plain: curve of the plain average.
        now: curve of the classes that are on.
        ladder: names, barriers and errors as one class after the other is switched on.
        look: how to draw it.
    """
    figure = canvas(look, left=44, bottom=64, right=90)
    axes(figure, look, 1, (0, 0.48))
    axes(figure, look, 2, (0.72, 1), (0, 1))
    meaning, wide = MEANINGS[meaning_of_choice(now)], look.scale
    colour = meaning.colour(look.theme)
    ends = [now["loss"][0], now["loss"][-1]]
    for name, y, x, line in (
        ("chord", ends, [0, 1], {"color": look.ground.muted, "width": 2 * wide, "dash": "dash"}),
        (
            "plain average",
            plain["loss"],
            lam,
            {"color": look.colour("plain"), "width": 2.5 * wide, "dash": "5px,3px"},
        ),
        ("now", now["loss"], lam, {"color": colour, "width": 5 * wide}),
    ):
        figure.add_scatter(x=x, y=y, mode="lines", name=name, line=line, hoverinfo="skip")
    _barrier(figure, colour, ends, lam, look, now, wide)
    figure.update_layout(
        xaxis={
            "range": [-0.05, 1.05],
            "tickvals": [0, 0.5, 1],
            "ticktext": ["network A", "half way", "network B"],
            "ticklabelstandoff": int(8 * look.scale),
        },
        yaxis={"range": [0, max(plain["loss"]) * 1.22], "nticks": 5},
    )
    heading(figure, look, "loss, nats", 0, xanchor="left", xshift=-36 * wide)
    _ladder(figure, look, ladder)
    return figure


def _barrier(
    figure: go.Figure,
    colour: str,
    ends: Sequence[float],
    lam: Sequence[float],
    look: Look,
    now: ClassesCurve,
    wide: float,
) -> None:
    """The barrier as a bracket from the chord, with its value."""
    top = int(np.abs(np.array(lam) - now["barrier_lam"]).argmin())
    chord = ends[0] + (ends[1] - ends[0]) * lam[top]
    figure.add_scatter(
        x=[lam[top]] * 2,
        y=[chord, now["loss"][top]],
        mode="lines+markers",
        name="barrier",
        hoverinfo="skip",
        line={"color": colour, "width": 2.5 * wide},
        marker={"symbol": "line-ew-open", "size": 16 * wide},
    )
    figure.add_annotation(
        x=lam[top],
        y=now["loss"][top],
        text=f"<b>{number(now['barrier'], 'nats')}</b>",
        yanchor="bottom",
        showarrow=False,
        yshift=6 * wide,
        font={"size": 1.3 * look.large, "color": colour},
        name="value",
        bgcolor=faint(look.ground.paper, 0.85),
    )


def _ladder(figure: go.Figure, look: Look, ladder: Sequence[tuple[str, float, float]]) -> None:
    """Bars of the barrier as one class after the other is switched on, from the top down."""
    if not look.revealed:
        figure.update_layout(xaxis2={"visible": False}, yaxis2={"visible": False})
        unknown(figure, look, 0.86)
        return
    kinds = {
        "nothing": "plain",
        "stream rotated": "orthogonal",
        "planes": "orthogonal",
        "learned": "learned",
    }
    colours = [look.colour(kinds.get(name, "permutation")) for name, _, _ in ladder]
    named = [name if not k else f"+ {name}" for k, (name, _, _) in enumerate(ladder)]
    bars_of_barriers(figure, look, 2, named, [value for _, value, _ in ladder], colours)
    heading(figure, look, "barrier, nats, one more each", 0.82)


def remains_figure(rows: Sequence[Remains], look: Look, shares: bool) -> go.Figure:
    """Draw what is left of the barrier for each family, by what was allowed.

    Args:
        rows: of `lecture.shipped.remains`.
        look: how to draw it.
        shares: as shares of the plain barrier, or in nats.
    """
    figure = canvas(look, left=236, bottom=66, top=44, right=30)
    axes(figure, look, 1, (0, 1))
    kind = "shares" if shares else "nats"
    drawn = list(SETTINGS) if look.revealed else ["plain"]
    places = list(range(len(rows)))
    if look.revealed:
        _ranges(figure, look, [list(row[kind].values()) for row in rows])
    for name in drawn:
        meaning = MEANINGS[SETTINGS[name]]
        figure.add_scatter(
            x=[row[kind][name] for row in rows],
            y=places,
            mode="markers",
            name=SHORT[name],
            marker={
                "color": meaning.colour(look.theme),
                "symbol": meaning.marker,
                "size": 15 * look.scale,
            },
            customdata=[
                percent(row[kind][name], 1) if shares else number(row[kind][name], "nats")
                for row in rows
            ],
            hovertemplate="%{customdata}<extra>" + SHORT[name] + "</extra>",
        )
    high = max(value for row in rows for value in row[kind].values())
    pairs = [f"{row['name']} \u00b7 {row['pairs']} pair{'s' * (row['pairs'] > 1)}" for row in rows]
    title = "barrier as a share of the plain average's" if shares else "barrier, nats"
    figure.update_layout(
        xaxis={
            "range": [-0.02 * high, 1.04 * high],
            "tickformat": ".0%" if shares else None,
            "showgrid": True,
            "nticks": 7,
            "title": {"text": title, "font": {"size": look.large}},
        },
        yaxis={
            "range": [len(rows) - 0.5, -0.5],
            "tickvals": places,
            "ticktext": pairs,
            "showgrid": False,
            "tickfont": {"size": look.text, "color": look.ground.ink},
        },
    )
    _names(figure, look, drawn)
    return figure


def _ranges(figure: go.Figure, look: Look, rows: Sequence[Sequence[float]]) -> None:
    """A line from the smallest to the largest value of each row."""
    for place, values in enumerate(rows):
        figure.add_scatter(
            x=[min(values), max(values)],
            y=[place] * 2,
            mode="lines",
            hoverinfo="skip",
            name="range",
            line={"color": look.ground.grid, "width": 3 * look.scale},
        )


def _names(figure: go.Figure, look: Look, drawn: Sequence[str]) -> None:
    """What the marks stand for, in the order in which they stand, from the left."""
    # in the order in which they stand, from the left
    for place, name in enumerate(reversed(drawn)):
        x, anchor = (
            ((0, "left"), (0.24, "left"), (0.53, "left"), (1, "right"))[place]
            if len(drawn) > 1
            else (1, "right")
        )
        font = {"size": look.text, "color": look.colour(SETTINGS[name])}
        heading(
            figure,
            look,
            f"{GLYPHS[name]} {SHORT[name]}",
            x,
            xanchor=anchor,
            font=font,
            name="label",
        )
