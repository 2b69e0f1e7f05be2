"""How values show themselves in a notebook: a table of facts and a small drawing, as HTML and SVG.

Text alone, without a script and without anything that would be loaded from elsewhere; lines have
the colour of the text around them, so that it can be read on a light and on a dark ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH, HEIGHT, EDGE = 360, 150, 26  # of a drawing, in pixels
Facts = Sequence[tuple[str, str]]


def show(title: str, facts: Facts, drawing: str = "") -> str:
    """HTML of a title, names with values, and a drawing.

    Args:
        title: plain text.
        facts: names and values, plain text.
        drawing: SVG; "" for none.
    """
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table>{drawing}</div>"


def draw_figure(place: str, *things: object) -> go.Figure:
    """The Plotly figure of things, drawn by a function of a higher layer.

    Args:
        place: of the function, "package.module:NAME"; named, not imported, since it loads plotly.
        things: what it takes.
    """
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)(*things)


def draw_curve(lam: Sequence[float], loss: Sequence[float], top: int, words: str) -> str:
    """SVG of a loss along a path, its chord dashed, the barrier as a bracket.

    Args:
        lam: points from 0 to 1.
        loss: at each of them.
        top: index of the point of the barrier.
        words: the barrier with its error.
    """
    chord = [loss[0] + at * (loss[-1] - loss[0]) for at in lam]
    low, high = min(*loss, *chord), max(*loss, *chord)

    def place(at: float, value: float) -> tuple[float, float]:
        share = (value - low) / ((high - low) or 1.0)
        return EDGE + at * (WIDTH - 2 * EDGE), HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)

    line = _join([place(at, value) for at, value in zip(lam, loss, strict=True)])
    ends = _join([place(lam[0], chord[0]), place(lam[-1], chord[-1])])
    (x, upper), (_, lower) = place(lam[top], loss[top]), place(lam[top], chord[top])
    anchor, shift = ("end", -6) if lam[top] > 0.5 else ("start", 6)
    middle = (upper + lower) / 2
    parts = [
        f'<polyline points="{ends}" stroke-dasharray="4 3" stroke-opacity="0.6"/>',
        f'<polyline points="{line}" stroke-width="2"/>',
        f'<line x1="{x:.1f}" y1="{upper:.1f}" x2="{x:.1f}" y2="{lower:.1f}" stroke-width="1"/>',
        _write(x + shift, middle, words, anchor),
        _write(EDGE, HEIGHT - 8, "λ = 0 (A)", "start"),
        _write(WIDTH - EDGE, HEIGHT - 8, "λ = 1 (B)", "end"),
    ]
    return _frame(parts, f"Loss along a path with its chord; barrier {words}")


def draw_trace(values: Sequence[float], words: str) -> str:
    """SVG of an objective from step to step.

    Args:
        values: of the objective.
        words: what it is.
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    points = [
        (
            EDGE + k / (len(values) - 1) * (WIDTH - 2 * EDGE),
            HEIGHT - EDGE - (value - low) / ((high - low) or 1.0) * (HEIGHT - 2 * EDGE),
        )
        for k, value in enumerate(values)
    ]
    label = f"{words}: {values[0]:.3f} to {values[-1]:.3f}"
    line = f'<polyline points="{_join(points)}" stroke-width="2"/>'
    return _frame([line, _write(EDGE, HEIGHT - 8, label, "start")], label)


def draw_bars(rows: Sequence[tuple[str, float]], words: str) -> str:
    """SVG of horizontal bars, the largest first.

    Args:
        rows: names and values.
        words: what the values are.
    """
    rows = sorted(rows, key=lambda row: -row[1])[:8]
    largest = max((value for _, value in rows), default=0.0) or 1.0
    parts = []
    for k, (name, value) in enumerate(rows):
        y, length = 8 + 16 * k, value / largest * (WIDTH - 130)
        parts.append(_write(114, y + 9, name, "end"))
        parts.append(
            f'<rect x="120" y="{y}" width="{length:.1f}" height="11" fill="currentColor" '
            'fill-opacity="0.5" stroke="none"/>'
        )
    return _frame(parts, words, 16 + 16 * len(rows))


def _join(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _write(x: float, y: float, words: str, anchor: str) -> str:
    """A text; `anchor` as in SVG."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" stroke="none" '
        f'font-size="11">{escape(words)}</text>'
    )


def _frame(parts: Sequence[str], words: str, height: int = HEIGHT) -> str:
    """An SVG image that says in words what it shows."""
    return (
        f'<svg role="img" aria-label="{escape(words)}" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" fill="none" stroke="currentColor" '
        f'font-family="sans-serif">{"".join(parts)}</svg>'
    )
