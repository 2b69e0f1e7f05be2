"""The change of the loss over the share of a carried fine-tuning: the fine-tuning's task above, the
target's own below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, padded
from lmc_core.figures.margin import MarginLabel, margin_width, write_margin_labels
from lmc_core.figures.panel import Stored
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, Stroke, Theme, faint, strokes
from lmc_core.figures.text import Result
from lmc_core.figures.transport import change_at, find_shown, tuned_words

TOP, GAP, FOOT, SIDE = 56, 76, 64, 64  # pixels
UPPER, LOWER = 260, 190  # pixels of the panels
REACH = 0.02  # of the axis beyond the last share, as a part of its length
AIR = 0.06  # above the highest line and below the lowest, as a part of their distance


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Attributes:
        label: beside it.
        stroke: how it is drawn.
        x: shares.
        y: changes of the loss, nats.
        errors: one standard error of them.
        marked: place of the point that the label speaks of; None for none.
    """

    label: MarginLabel
    stroke: Stroke
    x: Sequence[float]
    y: Sequence[float]
    errors: Sequence[float]
    marked: int | None = None


def transport_figure(
    result: Result, theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw the change of the loss of the target over the share of the difference.

    Args:
        result: of `lmc_core.runs.kinds.transport.compute`.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; labels are placed for it.
    """
    tasks = result["tasks"]
    wanted = TOP + UPPER + FOOT + (GAP + LOWER) * (len(tasks) > 1)
    inner = (height or wanted) - TOP - FOOT
    panels = _divide(inner, len(tasks))
    figure = blank(theme, inner + TOP + FOOT)
    drawn = [_curves(result, number, theme) for number in range(len(tasks))]
    labels = [[curve.label for curve in curves] for curves in drawn]
    figure.update_layout(
        margin={
            "l": SIDE,
            "r": margin_width([label for each in labels for label in each]),
            "t": TOP,
            "b": FOOT,
        },
        showlegend=False,
        hovermode="closest",
    )
    shares = result["shares"]
    reach = REACH * (shares[-1] - shares[0])
    span = shares[0] - reach, shares[-1] + reach
    for number, (task, curves) in enumerate(zip(tasks, drawn, strict=True)):
        low, high = panels[number]
        limits = _limits(curves)
        _axes(figure, number, theme, ((low / inner, high / inner), span, limits), len(tasks))
        _heading(figure, result, task, number, theme, high / inner)
        for curve in curves:
            _draw_curve(figure, curve, number)
        write_margin_labels(figure, labels[number], limits, high - low, 0.0, span[1])
    return figure


def _divide(inner: int, count: int) -> list[tuple[float, float]]:
    """Lower and upper ends of the panels, in pixels above the lowest axis."""
    if count == 1:
        return [(0.0, float(inner))]
    upper = (inner - GAP) * UPPER / (UPPER + LOWER)
    return [(inner - upper, float(inner)), (0.0, inner - upper - GAP)]


def _suffix(number: int) -> str:
    """What Plotly adds to the names of a panel's axes."""
    return str(number + 1) if number else ""


def _curves(result: Result, number: int, theme: Theme) -> list[Curve]:
    """The lines of a panel, the moved difference last and so above the others."""
    task, place, shares = result["tasks"][number], find_shown(result), result["shares"]
    axis = f"y{_suffix(number)}"
    where = f", on {task['name']}" if number else ""
    plain, ink = MEANINGS["plain"], GROUNDS[theme].ink
    looks = {
        "unmoved": ("Unmoved", Stroke(plain.colour(theme), plain.dash, plain.marker)),
        "moved": ("Moved", strokes([result], theme)[0]),
    }
    found = []
    if tuned := task["tuned"]:
        stroke = Stroke(ink, "8px,4px", "circle")
        name = f"{result['models'][2]} fine-tuned itself{where}"
        label = MarginLabel(name, tuned_words(task), ink, shares[-1], tuned["change"], axis)
        ends = shares[0], shares[-1]
        found.append(
            Curve(label, stroke, ends, (tuned["change"],) * 2, (tuned["change_stderr"],) * 2)
        )
    for name, (title, stroke) in looks.items():
        values, errors = task[name]["change"], task[name]["change_stderr"]
        value = f"{change_at(task, name, place)} at {shares[place]:g}"
        point = shares[place], values[place]
        label = MarginLabel(f"{title}{where}", value, stroke.colour, *point, axis)
        found.append(Curve(label, stroke, shares, values, errors, place))
    return found


def _limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """The range of a panel: every band, and the target itself at 0."""
    edges = [
        value + side * error
        for curve in curves
        for value, error in zip(curve.y, curve.errors, strict=True)
        for side in (-1, 1)
    ]
    return padded(min(0.0, *edges), max(0.0, *edges), AIR, AIR)


def _axes(
    figure: go.Figure,
    number: int,
    theme: Theme,
    ranges: tuple[tuple[float, float], tuple[float, float], tuple[float, float]],
    count: int,
) -> None:
    """The axes of a panel.

    Args:
        figure: to draw in.
        number: of the panel, from above.
        theme: of the figure.
        ranges: of the panel in the figure, of the shares, and of the changes.
        count: of the panels, the lowest of which names the shares.
    """
    domain, span, limits = ranges
    suffix, ground = _suffix(number), GROUNDS[theme]
    last = number == count - 1
    title = "share of the difference that is added; 0 is the target itself"
    across: dict[str, object] = {
        "range": span,
        "anchor": f"y{suffix}",
        "fixedrange": True,
        "showticklabels": last,
        "nticks": 8,
    }
    if last:
        across["title"] = {"text": title, "font": {"size": SMALL}}
    figure.update_layout(
        {
            f"xaxis{suffix}": across,
            f"yaxis{suffix}": {
                "range": limits,
                "domain": domain,
                "anchor": f"x{suffix}",
                "fixedrange": True,
                "nticks": 6,
                "zeroline": True,
                "zerolinecolor": ground.muted,
                "zerolinewidth": 1,
            },
        }
    )


def _heading(
    figure: go.Figure, result: Result, task: Result, number: int, theme: Theme, top: float
) -> None:
    whose = f"the fine-tuning's task ({task['split']}, {task['unit']})"
    if number:
        whose = f"its own task: what is forgotten ({task['unit']})"
    target = result["models"][2]
    text = f"<b>Change of the loss of {target} on {task['name']}</b><br>{whose}"
    heading(figure, text, theme, up=8, y=top, left=-SIDE + 8, align="left")


def _draw_curve(figure: go.Figure, curve: Curve, number: int) -> None:
    """Draw a line with its band, thinner in the lower panel; the point of the label is larger."""
    suffix, stroke = _suffix(number), curve.stroke
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    pairs = list(zip(curve.y, curve.errors, strict=True))
    figure.add_scatter(
        x=[*curve.x, *reversed(curve.x)],
        y=[*(y + error for y, error in pairs), *(y - error for y, error in reversed(pairs))],
        fill="toself",
        fillcolor=faint(stroke.colour, 0.16),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        name="band",
        **axes,
    )
    sizes = [SMALL if k == curve.marked else 7 for k in range(len(curve.x))]
    figure.add_scatter(
        x=list(curve.x),
        y=list(curve.y),
        mode="lines" if curve.marked is None else "lines+markers",
        name=curve.label.name,
        line={"color": stroke.colour, "dash": stroke.dash, "width": 2 if number else 3},
        marker={"symbol": stroke.marker, "size": sizes, "color": stroke.colour},
        customdata=list(curve.errors),
        hovertemplate=f"<b>{curve.label.name}</b><br>share %{{x:g}}: %{{y:+.4f}} ± "
        "%{customdata:.4f} nats<extra></extra>",
        showlegend=False,
        meta={"panel": "change", "entry": curve.label.entry},
        **axes,
    )


def draw(
    found: Sequence[Stored[Result]], labels: Sequence[str], theme: Theme, height: int | None
) -> go.Figure:
    """Draw the one result of a panel; see `figures.panel.Picture`."""
    return transport_figure(found[0].result, theme, height)
