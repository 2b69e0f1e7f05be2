"""Loss and accuracy of a training towards equivariance, its branch on and off, and the error of
equivariance.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import BRANCHES, Run
from lmc_core.equivariance.figures.setting import BAND, EMPTY, Drawing, ending
from lmc_core.equivariance.figures.trace import FOOT, ROUNDING, ROW, SIDE, _steps
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.numbers import estimate, number, percent


def losses_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw held-out and training loss with the free branch on and off, and the error of
    equivariance on a logarithmic axis.

    Args:
        run: finished or not.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    figure = axes.new(theme, height or axes.HEAD + FOOT + 3 * ROW + 2 * axes.BETWEEN)
    labels = [axes.broken(look.name, 12) for look in BRANCHES.values()]
    split = str(run.facts.get("split", "held-out"))
    headings = [
        f"<b>Loss, held out</b> ({split}, nats)",
        "<b>Loss, training</b> (nats)",
        "<b>Error of equivariance</b>",
    ]
    panels = axes.rows(
        figure,
        headings,
        theme,
        {"l": SIDE, "r": axes.label_room([*labels, "0.372 \u00b1 0.065"]), "b": FOOT},
    )
    _steps(figure, run, panels)
    loss, error = run.trace("loss"), np.maximum(run.trace("error"), ROUNDING)
    for panel, values, score in zip(
        panels, (loss[:, 2:], loss[:, :2], error), ("", "train_", None), strict=True
    ):
        shown = np.log10(values) if score is None else values
        reach = axes.limits(figure, panel, [shown], (-1.0, 0.0) if score is None else (0.0,))
        if score is None:
            axes.powers(figure, panel, reach)
        ended = []
        for column, (branch, look) in enumerate(BRANCHES.items()):
            colour = look.colour(theme)
            what = "error" if score is None else "nats"
            figure.add_scatter(
                x=run.steps,
                y=values[:, column],
                mode=axes.mode(values),
                name=look.name,
                **panel.axes,
                line={"color": colour, "width": 2.5, "dash": look.dash},
                meta={"branch": branch},
                hovertemplate=f"<b>{look.name}</b><br>step %{{x}}: %{{y:.3g}} "
                f"{what}<extra></extra>",
            )
            if len(values):
                end = (
                    number(float(run.trace("error")[-1, column]), digits=2)
                    if score is None
                    else number(float(values[-1, column]))
                )
                if score == "" and run.finished:
                    end = estimate(run.score(branch), run.score(branch, "stderr"))
                text = f"<b>{axes.broken(look.name, 12)}</b><br>{end}"
                ended.append(axes.Ended(text, colour, float(shown[-1, column])))
        axes.end_labels(figure, panel, ended, reach)
    return figure


def losses_caption(run: Run) -> str:
    """Return a caption of `losses_figure` that would stand in a paper."""
    said = [
        "Mean cross-entropy on held-out and on training data with the free branch on (the network "
        "as it is) and off (its projection, \u03b3 = 0), and the error of equivariance: root mean "
        "square difference of f(gx) from g f(x) over held-out inputs and all elements g but the "
        "identity, in units of the spread of f over inputs; about 10\u207b\u2077 is rounding."
    ]
    if run.finished:
        on, off = (
            f"{estimate(run.score(name), run.score(name, 'stderr'), 'nats')} "
            f"({percent(run.score(name, 'accuracy'))})"
            for name in ("on", "off")
        )
        said.append(
            f"At the end, held out: {on} with the branch on, {off} projected, \u00b1 {BAND}."
        )
    return " ".join([*said, ending([run])])


def losses_alt(run: Run) -> str:
    """Return what `losses_figure` shows in a sentence."""
    loss, error = run.trace("loss"), run.trace("error")
    if not len(loss):
        return EMPTY
    train_on, train_off, on, off = (number(float(value)) for value in loss[-1])
    errors = " and ".join(number(float(value), digits=2) for value in error[-1])
    return (
        f"Losses over {int(run.steps[-1]):,} steps, {run.label}: held out {on} nats with the "
        f"branch on and {off} projected; "
        f"training {train_on} and {train_off}; error of equivariance {errors}."
    )


def losses_table(run: Run) -> Table:
    """Return every number of `losses_figure`."""
    header = [
        f"{what} {where}, {branch}"
        for what, where in (
            ("loss (nats)", "training"),
            ("loss (nats)", "held out"),
            ("accuracy", "training"),
            ("accuracy", "held out"),
        )
        for branch in ("branch on", "projected")
    ]
    errors = [f"error of equivariance, {branch}" for branch in ("branch on", "projected")]
    columns = [
        column for name in ("loss", "accuracy", "error") for column in run.trace(name).T.tolist()
    ]
    return Table.of(("step", *header, *errors), zip(run.steps.tolist(), *columns, strict=False))


LOSSES = Drawing(
    "Losses and the error of equivariance", losses_figure, losses_caption, losses_alt, losses_table
)
