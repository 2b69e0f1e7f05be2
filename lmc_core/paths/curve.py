"""What a task's loss does along a path, at many points, in one pass over the data
(`lmc_core.tasks.evaluator`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmc_core.display import draw_curve, draw_figure, show
from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.numbers import estimate, number
from lmc_core.paths.barrier import Barrier, barrier
from lmc_core.paths.line import ModelPath
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Evaluator, States

if TYPE_CHECKING:
    import plotly.graph_objects as go  # loaded when something is drawn


@dataclass(frozen=True)
class Curve:
    """Losses along a path.

    Attributes:
        lam: the points, increasing from 0 to 1, float64 `[points]`.
        losses: loss of each example at each point in nats, float32 `[points, examples]`.
        correct: share predicted correctly, same shape.
        groups: which examples belong together, int64 `[examples]`; None where each stands for
            itself.
    """

    lam: Tensor
    losses: Tensor
    correct: Tensor
    groups: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """Mean loss at each point in nats, float64 `[points]`."""
        return self.losses.double().mean(1)

    @property
    def stderr(self) -> Tensor:
        """Standard error of the mean loss over examples, or groups of them, in nats, float64
        `[points]`.
        """
        return stderr(self.losses, self.groups)

    @property
    def barrier(self) -> Barrier:
        """The barrier of the curve."""
        return barrier(self.lam, self.losses, self.groups)

    def figure(
        self, theme: str = "light", height: int | None = None, names: Sequence[str] = ("A", "B")
    ) -> go.Figure:
        """Loss and accuracy along the path, the chord and the barrier, as a Plotly figure.

        Args:
            theme: ``light``, ``dark`` or ``paper``.
            height: in pixels; by default that of the app.
            names: of the models at both ends.
        """
        return draw_figure("lmc_core.figures.notebook:draw_curve", self, theme, height, names)

    def _repr_html_(self) -> str:
        """A drawing of the curve and the barrier with its error, in a notebook."""
        top, mean = self.barrier, self.mean.tolist()
        words = estimate(top.value, top.stderr, "nats")
        facts = [
            ("barrier", f"{words} at λ = {number(top.lam)}"),
            ("ends", f"{number(mean[0])} and {number(mean[-1], 'nats')}"),
            ("examples", f"{self.losses.shape[1]:,}"),
        ]
        return show("Curve", facts, draw_curve(self.lam.tolist(), mean, top.index, words))

    def merged(self, other: Curve) -> Curve:
        """Both curves' points, in order."""
        lam = torch.cat([self.lam, other.lam])
        order = lam.argsort()
        return Curve(
            lam[order],
            torch.cat([self.losses, other.losses])[order],
            torch.cat([self.correct, other.correct])[order],
            self.groups,
        )


def measure(
    path: ModelPath,
    lam: Tensor,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    temperatures: Tensor | None = None,
    evaluator: Evaluator | None = None,
) -> Curve:
    """Measure the loss at some points of a path.

    Args:
        path: between two models.
        lam: the points, increasing.
        examples: what to measure on.
        device: where to run.
        progress: called with the share done; may raise to stop.
        temperatures: what logits are divided by at each point; 1 by default.
        evaluator: of the models on these examples, where there is one already.
    """
    path = path.on(device)
    evaluator = evaluator or Evaluator(path.a, examples, device)
    states = States(path.state, lam.tolist())
    return Curve(lam, *evaluator.losses(states, progress, temperatures), examples.groups)


def curve(
    line: ModelPath,
    examples: Examples,
    points: int = 25,
    refine: int = 4,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> Curve:
    """Measure the loss along a line.

    A uniform grid is measured in one pass over the data; a second pass measures `refine` more
    points between the two neighbours of the point where the barrier is.

    Args:
        line: a path between two models.
        examples: what to measure on.
        points: of the grid, both ends included.
        refine: further points around the maximum; 0 for none.
        device: where to run.
        progress: called with the share done; may raise to stop.

    Raises:
        BadInput: for fewer than three points, or more than anyone can mean.
    """
    require_counts(points=points, refine=refine)
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    if refine < 0:
        raise BadInput(f"The number of refining points should be 0 or more; {refine} came.")
    total = points + refine
    lam = torch.linspace(0, 1, points, dtype=torch.float64)
    line = line.on(device)
    evaluator = Evaluator(line.a, examples, device)
    found = measure(
        line,
        lam,
        examples,
        device,
        lambda share: progress(share * points / total),
        evaluator=evaluator,
    )
    if refine:
        top = found.barrier.index
        left, right = refine // 2, refine - refine // 2
        low = torch.linspace(float(lam[top - 1]), float(lam[top]), left + 2, dtype=torch.float64)[
            1:-1
        ]
        high = torch.linspace(float(lam[top]), float(lam[top + 1]), right + 2, dtype=torch.float64)[
            1:-1
        ]
        more = measure(
            line,
            torch.cat([low, high]),
            examples,
            device,
            lambda share: progress((points + share * refine) / total),
            evaluator=evaluator,
        )
        found = found.merged(more)
    return found
