"""The curve of the loss between two models, with its barrier; the score below; the trace of the
matcher's objective.

Conventions: `lam` is the weight of model B, so the left end is model A and the right end model B.
The bracket of a barrier runs from the chord to the curve where the excess is largest; below the
chord it points down and its number is negative. The shaded band is the chord plus the band that
holds the whole excess with 95 % confidence; of older results, one standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.barrier_labels import DIRECT, MANY, Labelling, labelling, text_of
from lmc_core.figures.ends import name_ends
from lmc_core.figures.layout import fresh, padded, spread, stacked
from lmc_core.figures.style import (
    BODY,
    GROUNDS,
    MEANINGS,
    SMALL,
    Stroke,
    Theme,
    faint,
    meaning_of,
    strokes,
    template,
)
from lmc_core.figures.text import Result, barrier_caption, barrier_words, labels_of
from lmc_core.numbers import number, percent

HEIGHT = 640  # pixels
# pixels: room for the panels' headings and for the models' names
TOP, BOTTOM, GAP, SIDE = 36, 64, 52, 56
SHARE = 0.66  # of the panels' height that the loss gets
TICK = 0.009  # half the width of a bracket's ends, in units of lam


def barrier_figure(
    results: Sequence[Result],
    theme: Theme = "light",
    labels: Sequence[str] | None = None,
    height: int = HEIGHT,
) -> go.Figure:
    """Draw loss and score of any number of results over one axis of lambda.

    Args:
        results: result dictionaries as `lmc_core.runs.kinds.barrier.compute` returns them.
        theme: ``light``, ``dark`` or ``paper``.
        labels: of the lines, in the order of the results.
        height: of the figure, in pixels; labels are placed for it.
    """
    figure = go.Figure(layout={"template": template(theme), "height": height})
    names = list(labels or labels_of(results))
    labelled = labelling(names)
    foot = BOTTOM + labelled.legend_height
    inner = height - TOP - foot
    upper, lower = SHARE * (inner - GAP), (1 - SHARE) * (inner - GAP)
    _axes(
        figure,
        results,
        theme,
        (1 - upper / inner, 1.0),
        (0.0, lower / inner),
        foot,
        labelled.legend,
    )
    if not results:
        return figure
    drawn = strokes(list(results), theme)
    low, high = _loss_range(results, labelled, upper)
    figure.update_yaxes(range=[low, high], selector={"anchor": "x"})
    figure.update_layout(legend_y=-(BOTTOM + 8) / inner)
    _chords(figure, results, theme)
    if len(results) > MANY:
        _thin(figure, results, names, theme)
        _ends(figure, results, theme)
        return figure
    for result, stroke in zip(results, drawn, strict=True):
        _band(figure, result, stroke)
    for result, stroke, name in zip(results, drawn, labelled.entries, strict=True):
        _line(
            figure,
            result,
            result["loss"],
            stroke,
            name,
            "y",
            result.get("unit", "nats"),
            labelled.legend,
        )
        values = _score(result)
        if values is not None:
            _line(figure, result, values, stroke, name, "y2", str(result.get("score")), False)
    _ends(figure, results, theme)
    _barriers(figure, results, drawn, labelled, theme, (low, high), upper)
    return figure


def legend_height(names: Sequence[str]) -> int:
    """Return the pixels below the axis that the legend of curves of these names takes."""
    return labelling(names).legend_height


def _thin(figure: go.Figure, results: Sequence[Result], names: Sequence[str], theme: Theme) -> None:
    """Draw many curves as thin lines told apart by meaning alone; the one under the pointer says
    its name.
    """
    lines: list[dict[str, Any]] = []
    named: set[str] = set()
    for result, name in zip(results, names, strict=True):
        meaning = meaning_of(result)
        look = MEANINGS[meaning]
        for axis, values in (("y", result["loss"]), ("y2", _score(result))):
            if values is None:
                continue
            share = axis == "y2" and result.get("score") == "accuracy"
            lines.append(
                {
                    "type": "scatter",
                    "x": list(result["lam"]),
                    "y": _array(values),
                    "mode": "lines",
                    "name": look.name,
                    "xaxis": "x" if axis == "y" else "x2",
                    "yaxis": axis,
                    "legendgroup": meaning,
                    "showlegend": axis == "y" and meaning not in named,
                    "line": {
                        "color": faint(look.colour(theme), 0.75),
                        "width": 1.5,
                        "dash": look.dash,
                    },
                    "hovertemplate": f"%{{y:{'.1%' if share else '.3f'}}}<extra>{name}</extra>",
                    "meta": {"key": result.get("key"), "panel": "loss" if axis == "y" else "score"},
                }
            )
        named.add(meaning)
    figure.add_traces(lines)
    figure.update_layout(hovermode="closest")


def _score(result: Result) -> list[float] | None:
    return result.get(str(result.get("score")))


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _loss_range(
    results: Sequence[Result], labelled: Labelling, pixels: float
) -> tuple[float, float]:
    """Range of the loss axis that leaves room for the labels above the highest line, and below the
    lowest.
    """
    drawn = [_array(r[name]) for r in results for name in ("loss", "chord")]
    if len(results) <= MANY:
        drawn += [edge for r in results if r.get("excess_low") for edge in _edges(r)]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    bottom, top = float(values.min()), float(values.max())
    limits = padded(bottom, top, 28 / pixels, 28 / pixels)
    if len(results) > DIRECT:
        return limits
    # less room for the lines makes larger groups of labels, which need more room
    for _ in range(3):
        _, _, levels, scale = _levels(results, labelled, limits, pixels)
        half = labelled.gap / 2 + 2
        above = max([28, *(level - scale * (top - limits[0]) + half for level in levels)])
        below = max([28, *(scale * (bottom - limits[0]) - level + half for level in levels)])
        room = max(pixels - above - below, 0.3 * pixels)
        limits = padded(bottom, top, below / room, above / room)
    return limits


def _levels(
    results: Sequence[Result], labelled: Labelling, limits: tuple[float, float], pixels: float
) -> tuple[list[int], list[tuple[float, float, float]], list[float], float]:
    """Which results have a barrier to show, where each is, the wanted heights of their labels, and
    pixels per nat.
    """
    places = {i: place for i, result in enumerate(results) if (place := _top(result)) is not None}
    scale = pixels / (limits[1] - limits[0])
    levels = dict.fromkeys(places, 0.0)
    for sign in (1, -1):
        side = [i for i, (_, chord, loss) in places.items() if (loss >= chord) == (sign > 0)]
        heights = [sign * scale * (places[i][2] - limits[0]) for i in side]
        levels |= {
            i: sign * level
            for i, level in zip(side, stacked(heights, labelled.gap, labelled.clear), strict=True)
        }
    return list(places), list(places.values()), list(levels.values()), scale


def _axes(
    figure: go.Figure,
    results: Sequence[Result],
    theme: Theme,
    upper: tuple[float, float],
    lower: tuple[float, float],
    foot: int,
    legend: bool,
) -> None:
    ground = GROUNDS[theme]
    first = results[0] if results else {}
    unit, score, split = (
        first.get("unit", "nats"),
        str(first.get("score", "accuracy")),
        first.get("split", "test"),
    )
    pairs = {tuple(r["models"]) for r in results}
    ends = next(iter(pairs)) if len(pairs) == 1 else ("model A", "model B")
    ticks = ["0", "0.25", "0.5<br>\u03bb", "0.75", "1"]
    common = {"range": [-0.02, 1.02], "fixedrange": True}
    figure.update_layout(
        margin={"l": SIDE, "r": SIDE, "t": TOP, "b": foot},
        hovermode="x unified",
        xaxis={
            **common,
            "anchor": "y",
            "showticklabels": False,
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
        },
        xaxis2={
            **common,
            "anchor": "y2",
            "matches": "x",
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "ticktext": ticks,
            "tickangle": 0,
            "tickfont": {"size": BODY, "color": ground.ink},
            "hoverformat": ".3f",
        },
        yaxis={
            "domain": list(upper),
            "anchor": "x",
            "fixedrange": True,
            "nticks": 6,
            "exponentformat": "power",
        },
        yaxis2={
            "domain": list(lower),
            "anchor": "x2",
            "fixedrange": True,
            "nticks": 6,
            "exponentformat": "power",
            "tickformat": ".0%" if score == "accuracy" else None,
        },
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": -0.14, "yanchor": "top"},
        showlegend=legend,
    )
    name_ends(figure, ends, theme, SIDE - 8, SIDE - 8, drop=22)
    for heading, top in (
        (f"<b>Loss</b> ({split}, {unit})", upper[1]),
        (f"<b>{score.capitalize()}</b>", lower[1]),
    ):
        figure.add_annotation(
            text=heading,
            x=0,
            xref="paper",
            xanchor="left",
            xshift=-SIDE,
            y=top,
            yref="paper",
            yanchor="bottom",
            yshift=10,
            showarrow=False,
            align="left",
            font={"size": BODY, "color": ground.ink},
            name="heading",
        )
    scores = [values for r in results if (values := _score(r)) is not None]
    if scores:
        flat = np.concatenate([_array(values) for values in scores])
        flat = flat[np.isfinite(flat)]
        if len(flat):
            figure.update_yaxes(
                range=padded(float(flat.min()), float(flat.max()), 0.2, 0.2),
                selector={"anchor": "x2"},
            )


def _chords(figure: go.Figure, results: Sequence[Result], theme: Theme) -> None:
    """The chords, each once: alignment does not change the end models, so they nearly always
    coincide.
    """
    seen: list[tuple[float, float]] = []
    for result in results:
        ends = (float(_array(result["chord"])[0]), float(_array(result["chord"])[-1]))
        if any(np.allclose(ends, other, rtol=1e-3, atol=1e-6, equal_nan=True) for other in seen):
            continue
        seen.append(ends)
        figure.add_scatter(
            x=[0, 1],
            y=list(ends),
            mode="lines",
            name="chord",
            hoverinfo="skip",
            showlegend=False,
            xaxis="x",
            yaxis="y",
            line={"color": GROUNDS[theme].muted, "width": 1.5, "dash": "dash"},
        )


def _band(figure: go.Figure, result: Result, stroke: Stroke) -> None:
    if not result.get("loss_stderr"):
        return
    lam, loss, error = _array(result["lam"]), _array(result["loss"]), _array(result["loss_stderr"])
    low, high, name = loss - error, loss + error, "one standard error"
    if result.get("excess_low"):
        low, high = _edges(result)
        name = "95 % band of the whole curve"
    good = np.isfinite(low) & np.isfinite(high)
    lam, low, high = lam[good], low[good], high[good]
    figure.add_scatter(
        x=np.concatenate([lam, lam[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=faint(stroke.colour, 0.16),
        hoverinfo="skip",
        showlegend=False,
        name=name,
        xaxis="x",
        yaxis="y",
    )


def _edges(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper edge of the band of a whole curve, as losses."""
    chord = _array(result["chord"])
    return chord + _array(result["excess_low"]), chord + _array(result["excess_high"])


def _line(
    figure: go.Figure,
    result: Result,
    values: Sequence[float],
    stroke: Stroke,
    name: str,
    axis: str,
    unit: str,
    legend: bool,
) -> None:
    lam = list(result["lam"])
    is_share = unit == "accuracy"
    shown = [
        percent(v) if is_share else number(v, "" if axis == "y2" else unit) for v in _array(values)
    ]
    # markers tell lines apart in print; one at each point would hide the line
    every = max(1, len(lam) // 8)
    sizes = [7 if i % every == 0 or i == len(lam) - 1 else 0 for i in range(len(lam))]
    figure.add_scatter(
        x=lam,
        y=_array(values),
        mode="lines+markers",
        name=name,
        customdata=shown,
        xaxis="x" if axis == "y" else "x2",
        yaxis=axis,
        legendgroup=name,
        showlegend=legend,
        hovertemplate="%{customdata}<extra>" + name + "</extra>",
        line={"color": stroke.colour, "width": 2.5, "dash": stroke.dash},
        marker={"color": stroke.colour, "symbol": stroke.marker, "size": sizes},
        meta={"key": result.get("key"), "panel": "loss" if axis == "y" else "score"},
    )


def _ends(figure: go.Figure, results: Sequence[Result], theme: Theme) -> None:
    """The losses of the end models, as numbers beside them."""
    if len({tuple(r["models"]) for r in results}) > 1:
        return
    ground, result = GROUNDS[theme], results[0]
    for index, side in ((0, "left"), (-1, "right")):
        for axis, values in (("y", result["loss"]), ("y2", _score(result))):
            if values is None or not np.isfinite(_array(values)[index]):
                continue
            value = float(_array(values)[index])
            middle = [
                _array(r["loss"] if axis == "y" else _score(r) or [value])[len(r["lam"]) // 2]
                for r in results
            ]
            # the side that the lines leave free; never below in the lower panel, where the ticks of
            # lambda are
            above = axis == "y2" or float(np.nanmean(middle)) < value
            text = (
                percent(value)
                if axis == "y2" and result.get("score") == "accuracy"
                else number(value)
            )
            figure.add_annotation(
                x=0 if side == "left" else 1,
                y=value,
                xref="x" if axis == "y" else "x2",
                yref=axis,
                text=text,
                showarrow=False,
                xanchor="left" if side == "left" else "right",
                xshift=-4 if side == "left" else 4,
                yanchor="bottom" if above else "top",
                yshift=7 if above else -7,
                font={"size": SMALL, "color": ground.ink},
                bgcolor=faint(ground.paper, 0.75),
                borderpad=1,
                name="end",
            )


def _barriers(
    figure: go.Figure,
    results: Sequence[Result],
    drawn: Sequence[Stroke],
    labelled: Labelling,
    theme: Theme,
    limits: tuple[float, float],
    pixels: float,
) -> None:
    """Brackets from the chord to the curve, the highest at its own place and lower ones beside it;
    labels at the lines.
    """
    known, places, wanted, scale = _levels(results, labelled, limits, pixels)
    if not known:
        return
    gap, clear = labelled.gap, labelled.clear
    levels = spread(wanted, gap, gap / 2, pixels - gap / 2)
    order = sorted(range(len(known)), key=lambda k: -abs(places[k][2] - places[k][1]))
    # brackets go to one side, labels to the other
    leftward = -1.0 if places[order[0]][0] <= 0.55 else 1.0
    taken: list[float] = []
    for k in order:
        i, (lam, chord, loss), level = known[k], places[k], levels[k]
        spot = fresh(lam, taken, 2.6 * TICK, leftward)
        taken.append(spot)
        colour = drawn[i].colour
        figure.add_scatter(
            x=[spot - TICK, spot + TICK, None, spot, spot, None, spot - TICK, spot + TICK],
            y=[chord, chord, None, chord, loss, None, loss, loss],
            mode="lines",
            line={"color": colour, "width": 2},
            hoverinfo="skip",
            showlegend=False,
            name="barrier",
            xaxis="x",
            yaxis="y",
            meta={"key": results[i].get("key"), "panel": "bracket"},
        )
        if len(results) > DIRECT:
            continue
        at = scale * (loss - limits[0])
        moved = abs(abs(level - at) - clear) > 8
        figure.add_annotation(
            x=lam,
            y=loss,
            xref="x",
            yref="y",
            text=text_of(labelled.names[i], barrier_words(results[i], short=True)),
            ax=-leftward * (30 if moved else 12),
            ay=at - level,
            xanchor="left" if leftward < 0 else "right",
            align="left",
            showarrow=True,
            arrowhead=0,
            arrowwidth=1.2,
            arrowcolor=colour if moved else "rgba(0,0,0,0)",
            font={"size": labelled.size, "color": colour},
            bgcolor=faint(GROUNDS[theme].paper, 0.85),
            borderpad=0,
            name="label",
        )


def _top(result: Result) -> tuple[float, float, float] | None:
    """Where the barrier is: lambda, the chord there, the loss there; None where any is not a finite
    number.
    """
    lam = result.get("barrier_lam")
    if lam is None or result.get("barrier") is None:
        return None
    grid = _array(result["lam"])
    index = int(np.abs(grid - lam).argmin())
    values = (
        float(grid[index]),
        float(_array(result["chord"])[index]),
        float(_array(result["loss"])[index]),
    )
    return values if all(np.isfinite(values)) else None


def objective_figure(result: Result, theme: Theme = "light", height: int = 260) -> go.Figure:
    """Draw the matcher's objective after every visit of a space, as a share of the largest
    possible.

    Args:
        result: of a method other than ``none``.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground, stroke = GROUNDS[theme], strokes([result], theme)[0]
    figure = go.Figure(layout={"template": template(theme), "height": height})
    trace = list(result.get("objective") or [])
    before: Any = result.get("objective_before")
    figure.add_scatter(
        x=list(range(len(trace))),
        y=trace,
        mode="lines+markers",
        line={"color": stroke.colour, "width": 2.5},
        marker={"size": 5},
        name="objective",
        hovertemplate="after %{x} visits: %{y:.4f}<extra></extra>",
    )
    if before is not None and trace:
        figure.add_hline(y=before, line={"color": ground.muted, "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="right",
            y=before,
            yanchor="bottom",
            text=f"nothing moved: {number(before)}",
            showarrow=False,
            font={"size": SMALL, "color": ground.muted},
        )
        figure.add_annotation(
            x=len(trace) - 1,
            y=trace[-1],
            text=f"<b>{number(trace[-1])}</b>",
            showarrow=False,
            yanchor="bottom",
            yshift=4,
            xanchor="right",
            font={"size": BODY, "color": stroke.colour},
        )
        figure.update_yaxes(range=padded(min([before, *trace]), max(trace), 0.08, 0.2))
    figure.update_xaxes(
        title={"text": "visits of a space", "standoff": 8}, tickformat="d", fixedrange=True
    )
    figure.update_yaxes(fixedrange=True, nticks=5)
    figure.add_annotation(
        text="<b>Objective</b> (share of the largest possible)",
        x=0,
        xref="paper",
        xanchor="left",
        xshift=-SIDE,
        y=1,
        yref="paper",
        yanchor="bottom",
        yshift=6,
        showarrow=False,
        font={"size": BODY},
        name="heading",
    )
    figure.update_layout(margin={"l": SIDE, "r": 40, "t": 36, "b": 52}, showlegend=False)
    return figure


__all__ = ["barrier_caption", "barrier_figure", "objective_figure"]
