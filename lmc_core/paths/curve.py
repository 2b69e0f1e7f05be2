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
from lmc_core.intervals.errors import stderr as standard_error
from lmc_core.limits import require_counts
from lmc_core.numbers import estimate, number
from lmc_core.paths.barrier import Barrier, barrier
from lmc_core.paths.line import ModelPath
from lmc_core.paths.path_losses import PathLosses
from lmc_core.paths.rounds import Rounds, require_goal
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import EXACT, Mode

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
        rows: where not all examples that were given are measured, the numbers of those that are,
            int64 `[examples]`; else None.
    """

    lam: Tensor
    losses: Tensor
    correct: Tensor
    groups: Tensor | None = None
    rows: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """Mean loss at each point in nats, float64 `[points]`."""
        return self.losses.double().mean(1)

    @property
    def stderr(self) -> Tensor:
        """Standard error of the mean loss over examples, or groups of them, in nats, float64
        `[points]`.
        """
        return standard_error(self.losses, self.groups)

    @property
    def barrier(self) -> Barrier:
        """The barrier of the curve."""
        return barrier(self.lam, self.losses, self.groups)

    def only(self, rows: Tensor | None) -> Curve:
        """The same curve on some of its examples.

        Args:
            rows: their numbers among the examples that were given, increasing; None for all.
        """
        if rows is None:
            return self
        at = rows if self.rows is None else torch.searchsorted(self.rows, rows)
        groups = None if self.groups is None else self.groups[at]
        return Curve(self.lam, self.losses[:, at], self.correct[:, at], groups, rows)

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


def measure(
    path: ModelPath,
    lam: Tensor,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    temperatures: Tensor | None = None,
    mode: Mode = EXACT,
) -> Curve:
    """Measure the loss at some points of a path.

    Args:
        path: between two models.
        lam: the points, increasing.
        examples: what to measure on.
        device: where to run.
        progress: called with the share done; may raise to stop.
        temperatures: what logits are divided by at each point; 1 by default.
        mode: how to run.
    """
    losses = PathLosses(path, examples, device, mode)
    found = losses.measure(lam.tolist(), progress, temperatures)
    return Curve(lam, *found, examples.groups)


def curve(
    line: ModelPath,
    examples: Examples,
    points: int = 25,
    refine: int = 4,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    stderr: float | None = None,
    keep: Callable[[Curve], None] | None = None,
    mode: Mode = EXACT,
    begun: Curve | None = None,
    most: int | None = None,
) -> Curve:
    """Measure the loss along a line.

    A uniform grid is measured first, then `refine` more points between the two neighbours of the
    point where the barrier is. With `keep` the first answer comes early: both ends and the middle
    on the first examples, then one point after the other, then more and more examples. A line
    between lazily read models is measured part by part, and neither is held (`path_losses`).

    Args:
        line: a path between two models.
        examples: what to measure on.
        points: of the grid, both ends included.
        refine: further points around the maximum; 0 for none.
        device: where to run.
        progress: called with the share done; may raise to stop.
        stderr: standard error of the barrier in nats at which no more examples are taken; see
            `paths.rounds`. None for all examples.
        keep: called with what there is after every point and every round of examples; may raise to
            stop.
        mode: how to run.
        begun: what `keep` was given by an earlier call with the same arguments, to go on from.
        most: examples of a round; None for any number.

    Raises:
        BadInput: for fewer than three points, or more than anyone can mean, or a standard error
            that is not above 0.
    """
    require_points(points, refine)
    require_goal(stderr)
    found = Rounds(line, examples, points + refine, stderr, device, progress, mode, most)
    grid = torch.linspace(0, 1, points, dtype=torch.float64)
    at_once = stderr is None and keep is None
    told = keep or (lambda so_far: None)
    if begun is not None and _fits(begun, grid, refine, len(examples)):
        found.go_on(begun.lam, begun.losses, begun.correct)
    if at_once and not found.taken:
        found.add_points(grid)
    else:
        _begin(found, grid, told)
    while not found.enough and len(found.lam) == points:
        found.add_examples(len(examples) if at_once else found.next)
        told(_curve(found))
    if refine and len(found.lam) == points:
        found.add_points(_between(found.lam, found.place, refine))
        told(_curve(found))
    while not found.enough:  # the barrier is higher at a new point, and its error larger
        found.add_examples(found.next)
        told(_curve(found))
    return _curve(found)


def require_points(points: int, refine: int) -> None:
    """Refuse numbers of points that make no curve.

    Raises:
        BadInput: for fewer than three points, or more than anyone can mean.
    """
    require_counts(points=points, refine=refine)
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    if refine < 0:
        raise BadInput(f"The number of refining points should be 0 or more; {refine} came.")


def _fits(begun: Curve, grid: Tensor, refine: int, there: int) -> bool:
    """Whether a curve can be gone on with: part of a grid on some examples, or all of it with its
    refinement.
    """
    here = torch.isin(begun.lam, grid)
    whole = bool(here.sum() == len(grid))
    further = len(begun.lam) - int(here.sum())
    shape = (len(begun.lam), begun.losses.shape[-1])
    return (
        begun.losses.shape == begun.correct.shape == shape
        and 0 < shape[1] <= there
        and bool((begun.lam.diff() > 0).all())
        and bool(torch.isin(grid[[0, -1]], begun.lam).all())
        and further in ((0, refine) if whole else (0,))
    )


def _begin(found: Rounds, grid: Tensor, told: Callable[[Curve], None]) -> None:
    """Measure the grid on the first examples, each further point far from those before; several
    at once where they are had for the price of one.
    """
    order = _halve(len(grid))
    if not found.taken:
        found.add_points(grid[order[: max(3, found.at_once)]])
        found.add_examples(found.next)
        told(_curve(found))
    left = [point for point in grid[order] if point not in found.lam]
    for start in range(0, len(left), found.at_once):
        found.add_points(torch.stack(left[start : start + found.at_once]))
        told(_curve(found))


def _halve(count: int) -> list[int]:
    """The numbers below `count` in an order whose beginnings are spread evenly: both ends, the
    middle, the middles of both halves, and so on.
    """
    order, spans = [0, count - 1], [(0, count - 1)]
    while spans:
        halves = [(low, (low + high) // 2, high) for low, high in spans if high - low > 1]
        order += [middle for _, middle, _ in halves]
        spans = [span for low, middle, high in halves for span in ((low, middle), (middle, high))]
    return order


def _between(lam: Tensor, top: int, count: int) -> Tensor:
    """Further points between the neighbours of one, half of them on each side."""
    left = torch.linspace(float(lam[top - 1]), float(lam[top]), count // 2 + 2, dtype=lam.dtype)
    right = torch.linspace(
        float(lam[top]), float(lam[top + 1]), count - count // 2 + 2, dtype=lam.dtype
    )
    return torch.cat([left[1:-1], right[1:-1]])


def _curve(found: Rounds) -> Curve:
    losses, correct = found.values[:, :, found.rows].unbind(1)
    rows = found.rows if found.taken < len(found.examples) else None
    return Curve(found.lam, losses, correct, found.groups, rows)
