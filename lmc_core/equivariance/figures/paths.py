"""Figures of the straight path in weight space from the projection to the trained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import FORMS, Run, layer_strokes, run_strokes
from lmc_core.equivariance.figures.picture import form_name
from lmc_core.equivariance.figures.setting import BAND, EMPTY, NONE, Drawing, ending, shorten
from lmc_core.figures.layout import name_ends
from lmc_core.figures.style import Stroke, Theme, faint
from lmc_core.figures.tables import Table
from lmc_core.numbers import estimate, number, percent

HEIGHT = 470  # pixels without a legend
# pixels; the ticks of the vertical axes are on the right, so that labels stand where the lines
# differ
RIGHT, FOOT = 52, 58
# more lines than so many are thin, without bands, and the legend has one entry for each form
MANY = 12
ENDS = ("projection", "trained network")
PATH = ("run", "after steps", "share", "loss (nats)", "standard error", "accuracy")


@dataclass(frozen=True)
class Line:
    """One path.

    Attributes:
        name: for its label.
        share: `[t]`, 0 at the projection and 1 at the network.
        loss: `[t]`, held out, in nats.
        stderr: `[t]`, one standard error.
        accuracy: `[t]`.
    """

    name: str
    share: np.ndarray
    loss: np.ndarray
    stderr: np.ndarray
    accuracy: np.ndarray

    def named(self, name: str) -> Line:
        """The same under another name."""
        return Line(name, self.share, self.loss, self.stderr, self.accuracy)


def find_lines(run: Run) -> list[tuple[int, Line]]:
    """Return the paths of a run with the steps at which they were measured; none where nothing is
    recorded yet.
    """
    names = [f"path.{name}" for name in ("step", "share", "loss", "stderr", "accuracy")]
    if any(name not in run.arrays for name in names):
        return []
    steps, share, *rest = (run.arrays[name] for name in names)
    return [
        (int(step), Line(_when(int(step), run), share, *(each[row] for each in rest)))
        for row, step in enumerate(steps)
    ]


def _when(step: int, run: Run) -> str:
    return "start" if step == 0 else "end" if step == run.total else f"step {step:,}"


def paths_figure(
    runs: Sequence[Run], theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw loss and accuracy from the projection to the network, one line a run, at the last step
    that was measured.

    Args:
        runs: those without a path are left out.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels, without a legend.
    """
    known = [(run, found[-1][1]) for run in runs if (found := find_lines(run))]
    lines, split = (
        [line.named(run.label) for run, line in known],
        _split(known[0][0] if known else None),
    )
    if len(known) <= MANY:
        return _paths(lines, run_strokes([run for run, _ in known], theme), split, theme, height)
    looks = [FORMS.get(run.form, FORMS["free"]) for run, _ in known]
    drawn = [Stroke(look.colour(theme), look.dash, look.marker) for look in looks]
    return _paths(lines, drawn, split, theme, height, [form_name(run.form) for run, _ in known])


def checkpoints_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the path of one run at the steps at which it was measured, from the start of the
    training to its end.

    Args:
        run: finished or not.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    lines = [line for _, line in find_lines(run)]
    return _paths(lines, layer_strokes(max(len(lines), 4), theme), _split(run), theme, height)


def _split(run: Run | None) -> str:
    return str(run.facts.get("split", "held out")) if run is not None else "held out"


def _paths(
    lines: Sequence[Line],
    strokes: Sequence[Stroke],
    split: str,
    theme: Theme,
    height: int | None,
    groups: Sequence[str] = (),
) -> go.Figure:
    """Loss above accuracy; `groups` are the entries of the legend where there are too many lines
    for one each.
    """
    labels = [line.name for line in lines]
    at_line = axes.direct(labels)
    written = [axes.broken(label) for label in labels]
    foot = FOOT if at_line else FOOT + axes.legend_height(list(dict.fromkeys(groups or labels)))
    figure = axes.new(theme, (height or HEIGHT) + foot - FOOT)
    if not lines:
        return axes.nothing(figure, "No path has been measured yet.", theme)
    margin = {"l": axes.label_room(written, 64) if at_line else 24, "r": RIGHT, "b": foot}
    panels = axes.rows(
        figure, [f"<b>Loss</b> ({split}, nats)", "<b>Accuracy</b>"], theme, margin, (0.62, 0.38)
    )
    for panel in panels:
        figure.update_layout(
            {
                f"xaxis{panel.x[1:]}": {"range": [0, 1], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
                f"yaxis{panel.y[1:]}": {"side": "right"},
            }
        )
    figure.update_layout({f"yaxis{panels[1].y[1:]}": {"tickformat": ".0%"}})
    for panel, field in zip(panels, ("loss", "accuracy"), strict=True):
        values = [getattr(line, field) for line in lines]
        reach = axes.limits(figure, panel, values, (0.0,) if field == "loss" else ())
        for rank, (line, stroke) in enumerate(zip(lines, strokes, strict=False)):
            if field == "loss" and not groups:
                _band(figure, line, stroke, panel)
            first = not groups or groups[rank] not in groups[:rank]
            _line(
                figure,
                line,
                field,
                stroke,
                panel,
                groups[rank] if groups else line.name,
                field == "loss" and first,
            )
        if at_line:
            ends = [
                axes.Ended(t, s.colour, float(v[0]))
                for t, s, v in zip(written, strokes, values, strict=False)
            ]
            axes.end_labels(figure, panel, ends, reach, "left")
    if not at_line:
        axes.legend(figure, FOOT, panels[0].pixels + panels[1].pixels + axes.BETWEEN)
    name_ends(figure, ENDS, theme, 40 if at_line else 0, RIGHT - 8)
    return figure


def _band(figure: go.Figure, line: Line, stroke: Stroke, panel: axes.Panel) -> None:
    figure.add_scatter(
        x=np.concatenate([line.share, line.share[::-1]]),
        y=np.concatenate([line.loss + line.stderr, (line.loss - line.stderr)[::-1]]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=faint(stroke.colour, 0.14),
        hoverinfo="skip",
        showlegend=False,
        name="one standard error",
        **panel.axes,
    )


def _line(
    figure: go.Figure,
    line: Line,
    field: str,
    stroke: Stroke,
    panel: axes.Panel,
    entry: str,
    legend: bool,
) -> None:
    shown = "%{y:.3f} nats" if field == "loss" else "%{y:.1%}"
    figure.add_scatter(
        x=line.share,
        y=getattr(line, field),
        mode="lines",
        name=entry,
        showlegend=legend,
        legendgroup=entry,
        **panel.axes,
        line={
            "color": stroke.colour,
            "dash": stroke.dash,
            "width": 2.5 if entry == line.name else 1.5,
        },
        meta={"panel": field},
        hovertemplate=f"<b>{line.name}</b><br>share %{{x:.2f}}: {shown}<extra></extra>",
    )


def paths_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `paths_figure` that would stand in a paper."""
    known = [(run, found[-1][1]) for run in runs if (found := find_lines(run))]
    if not known:
        return NONE
    ends = "; ".join(
        f"{run.label}: {estimate(float(line.loss[0]), float(line.stderr[0]))} and "
        f"{estimate(float(line.loss[-1]), float(line.stderr[-1]))} nats"
        for run, line in known
    )
    return (
        "Held-out loss and accuracy along the straight line in weight space from the projection "
        "P(W) to the trained network W, that is with every \u03b3 times a share from 0 to 1; bands "
        f"show {BAND}. Loss of the projection and of the network: {ends}. "
        f"{ending([run for run, _ in known])}"
    )


def checkpoints_caption(run: Run) -> str:
    """Return a caption of `checkpoints_figure` that would stand in a paper."""
    found = find_lines(run)
    if not found:
        return "No path has been measured yet."
    drops = "; ".join(
        f"after {step:,} steps {number(float(line.loss[0] - line.loss[-1]))}"
        for step, line in found
    )
    return (
        "Held-out loss and accuracy along the straight line in weight space from the projection to "
        f"the network, at several steps of one training; bands show {BAND}. What the projection "
        f"costs, in nats: {drops}. {ending([run])}"
    )


def paths_alt(runs: Sequence[Run]) -> str:
    """Return what `paths_figure` shows in a sentence."""
    known = [(run.label, found[-1][1]) for run in runs if (found := find_lines(run))]
    if not known:
        return EMPTY
    said = "; ".join(
        f"{name} from {number(float(line.loss[0]))} to {number(float(line.loss[-1]))} nats, "
        f"{percent(float(line.accuracy[0]))} to {percent(float(line.accuracy[-1]))}"
        for name, line in known
    )
    return shorten(f"Loss and accuracy from the projection to the network: {said}.")


def checkpoints_alt(run: Run) -> str:
    """Return what `checkpoints_figure` shows in a sentence."""
    found = find_lines(run)
    if not found:
        return EMPTY
    said = "; ".join(
        f"after {step:,} steps from {number(float(line.loss[0]))} to "
        f"{number(float(line.loss[-1]))} nats"
        for step, line in found
    )
    return shorten(f"Loss and accuracy from the projection to the network of {run.label}: {said}.")


def paths_table(runs: Sequence[Run]) -> Table:
    """Return every number of `paths_figure`."""
    return Table.of(PATH, (row for run in runs for row in list(_path(run, slice(-1, None)))))


def checkpoints_table(run: Run) -> Table:
    """Return every number of `checkpoints_figure`."""
    return Table.of(PATH, _path(run, slice(None)))


def _path(run: Run, which: slice) -> Iterator[tuple[object, ...]]:
    for step, line in find_lines(run)[which]:
        columns = (line.share, line.loss, line.stderr, line.accuracy)
        for values in zip(*(column.tolist() for column in columns), strict=True):
            yield (run.label, step, *values)


PATHS = Drawing(
    "From the projection to the network", paths_figure, paths_caption, paths_alt, paths_table
)

CHECKPOINTS = Drawing(
    "The way to the projection during training",
    checkpoints_figure,
    checkpoints_caption,
    checkpoints_alt,
    checkpoints_table,
)
