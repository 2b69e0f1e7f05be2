"""What changes along a path besides the loss, two panels beside each other for every quantity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, legend_row, padded
from lmc_core.figures.style import GROUNDS, SMALL, Stroke, Theme, faint, find_meaning, strokes
from lmc_core.figures.text import Result

TOP, FOOT, SIDE = 56, 72, 64  # pixels
ROW = 22  # pixels of a row of the legend
TALL = 440  # pixels of the figure without its legend
DOMAINS = ((0.0, 0.44), (0.56, 1.0))  # of the two panels
Draw = Callable[["Pair"], None]


class Pair:
    """Two panels beside each other, with lines by setting.

    Args:
        results: of one quantity.
        labels: of the settings.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; None for one with room for the legend.
        headings: above each panel.
    """

    def __init__(
        self,
        results: Sequence[Result],
        labels: Sequence[str],
        theme: Theme,
        height: int | None,
        headings: tuple[str, str],
    ):
        self.results, self.labels, self.theme = list(results), list(labels), theme
        self.ground = GROUNDS[theme]
        rows = ROW * (len(results) + 1)
        tall = height or TALL + rows
        self.figure = blank(theme, tall)
        self.strokes = strokes(self.results, theme)
        inner = tall - TOP - FOOT - rows
        self.figure.update_layout(
            margin={"l": SIDE, "r": 24, "t": TOP, "b": FOOT + rows},
            legend=legend_row(-FOOT / inner, "top"),
            xaxis={"domain": DOMAINS[0], "anchor": "y"},
            xaxis2={"domain": DOMAINS[1], "anchor": "y2"},
            yaxis2={"anchor": "x2"},
            hovermode="closest",
        )
        for panel, text in enumerate(headings):
            heading(self.figure, text, theme, up=8, x=DOMAINS[panel][0], left=-40, align="left")
        self.figure.update_yaxes(fixedrange=True, nticks=7)
        self.figure.update_xaxes(fixedrange=True, tickfont={"size": SMALL})

    def along(self, panel: int) -> None:
        """Make a panel's axis one of lambda, with the names of both models."""
        a, b = self.results[0]["models"]
        ticks = [0, 0.25, 0.5, 0.75, 1]
        self.figure.update_layout(
            {
                f"xaxis{'2' * panel}": {
                    "range": [-0.04, 1.04],
                    "tickvals": ticks,
                    "ticktext": [f"{tick:g}" for tick in ticks],
                    "title": {"text": f"λ, from {a} to {b}", "font": {"size": SMALL}},
                }
            }
        )

    def axis(self, panel: int, **settings: object) -> None:
        """Set a panel's vertical axis."""
        self.figure.update_layout({f"yaxis{'2' * panel}": settings})

    def line(
        self,
        panel: int,
        index: int,
        x: Sequence[float],
        y: Sequence[float | None],
        errors: Sequence[float] | None = None,
        unit: str = "",
        legend: bool = False,
    ) -> None:
        """Draw the line of one setting, with error bars.

        Args:
            panel: 0 or 1.
            index: of the setting.
            x: places.
            y: values.
            errors: of the values, up and down.
            unit: of the values, for what is shown under the pointer.
            legend: whether it stands for the setting in the legend.
        """
        stroke = self.strokes[index]
        bars = {"type": "data", "array": errors, "thickness": 1.5, "width": 4}
        self.figure.add_scatter(
            x=list(x),
            y=list(y),
            xaxis=f"x{'2' * panel}",
            yaxis=f"y{'2' * panel}",
            mode="lines+markers",
            name=self.labels[index],
            legendgroup=str(index),
            showlegend=legend,
            line={"color": stroke.colour, "dash": stroke.dash, "width": 2.5},
            marker={"symbol": stroke.marker, "size": 9, "color": stroke.colour},
            error_y=None if errors is None else {**bars, "color": stroke.colour},
            hovertemplate=f"<b>{self.labels[index]}</b><br>%{{x:.3g}}: %{{y:.4g}} {unit}"
            "<extra></extra>",
        )

    def thin(self, panel: int, stroke: Stroke, x: Sequence[float], y: Sequence[float]) -> None:
        """Draw a thin line behind those of the settings."""
        self.figure.add_scatter(
            x=list(x),
            y=list(y),
            xaxis=f"x{'2' * panel}",
            yaxis=f"y{'2' * panel}",
            mode="lines",
            showlegend=False,
            hoverinfo="skip",
            line={"color": faint(stroke.colour, 0.25), "width": 1},
        )

    def dashed(
        self, panel: int, x: Sequence[float], y: Sequence[float], name: str | None = None
    ) -> None:
        """Draw a dashed line of no setting; with a name it stands in the legend."""
        self.figure.add_scatter(
            x=list(x),
            y=list(y),
            xaxis=f"x{'2' * panel}",
            yaxis=f"y{'2' * panel}",
            mode="lines",
            name=name or "",
            showlegend=name is not None,
            hoverinfo="skip",
            line={"color": self.ground.muted, "width": 1.5, "dash": "4px,4px"},
        )


def draw_sharpness(pair: Pair) -> None:
    """The largest eigenvalue and the trace of the Hessian, on axes of powers where all are above
    zero.
    """
    values = [result["sharpness"] for result in pair.results]
    series = (
        [[row[0] for row in each["largest"]] for each in values],
        [each["trace"] for each in values],
    )
    errors = ([each["largest_error"] for each in values], [each["trace_stderr"] for each in values])
    for panel in (0, 1):
        for index, result in enumerate(pair.results):
            found = series[panel][index], errors[panel][index]
            pair.line(panel, index, result["at"], *found, unit="nats", legend=not panel)
        if min(value for row in series[panel] for value in row) > 0:
            pair.axis(panel, type="log", dtick=1, exponentformat="power", minor={"showgrid": True})
        pair.along(panel)


def draw_spectra(pair: Pair) -> None:
    """Effective rank and norm of every matrix as shares of the mean of its ends, and their means
    over the matrices.
    """
    for panel, field in enumerate(("effective", "norm")):
        for index, result in enumerate(pair.results):
            for row in relative_rows(result, field):
                pair.thin(panel, pair.strokes[index], result["at"], row)
        for index, result in enumerate(pair.results):
            found = [fmean(column) for column in zip(*relative_rows(result, field), strict=True)]
            pair.line(panel, index, result["at"], found, legend=not panel)
        pair.dashed(panel, (0, 1), (1, 1))
        pair.axis(panel, tickformat=".0%")
        pair.along(panel)


def relative_rows(result: Result, field: str) -> list[list[float]]:
    """A field of the spectra as a share of the mean of its first and last point, for every matrix
    that is not zero there.
    """
    rows = result["spectra"][field]
    means = [(row[0] + row[-1]) / 2 for row in rows]
    return [
        [value / mean for value in row] for row, mean in zip(rows, means, strict=True) if mean > 0
    ]


def draw_calibration(pair: Pair) -> None:
    """The expected calibration error along the path, and the reliability where the path is half
    way.
    """
    for index, result in enumerate(pair.results):
        found = result["calibration"]
        bars = found["error_stderr"]
        pair.line(0, index, result["at"], found["error"], bars, legend=True)
        middle = find_middle(result)
        sure, right = (found[name][middle] for name in ("confidence", "accuracy"))
        known = [(x, y) for x, y in zip(sure, right, strict=True) if x is not None]
        pair.line(1, index, [x for x, _ in known], [y for _, y in known])
    pair.dashed(1, (0, 1), (0, 1), "as often right as it is sure")
    pair.axis(0, tickformat=".0%", rangemode="tozero")
    pair.axis(1, tickformat=".0%", range=[-0.02, 1.02], title={"text": ""})
    pair.along(0)
    pair.figure.update_layout(
        xaxis2={
            "range": [-0.02, 1.02],
            "tickformat": ".0%",
            "title": {
                "text": "confidence: probability of the answer that is named",
                "font": {"size": SMALL},
            },
        }
    )


def find_middle(result: Result) -> int:
    """The number of the point nearest to half way."""
    at = result["at"]
    return min(range(len(at)), key=lambda k: abs(at[k] - 0.5))


def say_middle(result: Result) -> str:
    """The lambda of that point."""
    return f"{result['at'][find_middle(result)]:g}"


def draw_other(pair: Pair) -> None:
    """The losses on both tasks, with the chords between their ends, on axes of one scale."""
    everything: list[float] = []
    for panel, head in enumerate(("", "other_")):
        for index, result in enumerate(pair.results):
            found = result["other"]
            bars = found["other_stderr" if head else "loss_stderr"]
            values = found[f"{head}loss"]
            everything += values
            pair.line(panel, index, result["at"], values, bars, "nats", legend=not panel)
        first, at = pair.results[0]["other"][f"{head}loss"], pair.results[0]["at"]
        named = "chord between the end losses" if not panel else None
        pair.dashed(panel, (at[0], at[-1]), (first[0], first[-1]), named)
        pair.along(panel)
    wide = list(padded(min(everything), max(everything), 0.06, 0.08))
    for panel in (0, 1):
        pair.axis(panel, range=wide)


DRAWN: dict[str, tuple[Callable[[Sequence[Result]], tuple[str, str]], Draw]] = {
    "sharpness": (
        lambda results: (
            "<b>Sharpness</b>: largest eigenvalue<br>of the Hessian (nats)",
            "<b>Total curvature</b>: trace<br>of the Hessian (nats)",
        ),
        draw_sharpness,
    ),
    "spectra": (
        lambda results: (
            "<b>Effective rank</b> as a share of the mean<br>of both ends; thin: each matrix",
            "<b>Norm</b> as a share of the mean<br>of both ends; thin: each matrix",
        ),
        draw_spectra,
    ),
    "calibration": (
        lambda results: (
            "<b>Calibration error</b>: mean distance of<br>confidence and accuracy",
            f"<b>Accuracy</b> by confidence<br>at λ = {say_middle(results[0])}",
        ),
        draw_calibration,
    ),
    "other-task": (
        lambda results: (
            f"<b>Loss on {results[0]['task']}</b><br>({results[0]['unit']})",
            f"<b>Loss on {results[0]['other']['task']}</b><br>({results[0]['other']['unit']})",
        ),
        draw_other,
    ),
}


def along_figure(
    results: Sequence[Result],
    labels: Sequence[str],
    theme: Theme = "light",
    height: int | None = None,
) -> go.Figure:
    """Draw one quantity along the path, one line for every setting.

    Args:
        results: of `lmc_core.runs.kinds.along.compute`, of one quantity.
        labels: of the settings.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default one with room for the legend.
    """
    headings, draw = DRAWN[results[0]["quantity"]]
    order = sorted(range(len(results)), key=lambda k: find_meaning(results[k]) != "plain")
    chosen = [results[k] for k in order]
    pair = Pair(chosen, [labels[k] for k in order], theme, height, headings(chosen))
    draw(pair)
    return pair.figure
