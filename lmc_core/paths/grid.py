"""The loss on a grid of a plane, coarse to fine and from the centre outwards, so that what is
stopped is a picture already.

A grid of n x n points is filled level by level: first every 2^k-th point counted from the centre,
then those of every 2^(k-1)-th that are not there yet, and so on. A grid of 2n - 1 on the same
rectangle begins with all points of the one of n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.paths.plane import Plane
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Evaluator

FEWEST, MOST = 3, 129  # points along one side
MARGIN = 0.3  # room around the models, as a share of the longer side of their box
TOGETHER = 16  # points that go through the data together; what is stopped loses at most so many
HELD = 2**28  # parameters of all points that go through the data together


@dataclass(frozen=True)
class Grid:
    """A rectangle of n x n points.

    Attributes:
        u: of the columns, increasing, float64 `[n]`.
        v: of the rows, increasing, float64 `[n]`.
    """

    u: Tensor
    v: Tensor

    @classmethod
    def box(cls, centre: tuple[float, float], halves: tuple[float, float], resolution: int) -> Grid:
        """A rectangle around a point.

        Args:
            centre: its middle, (u, v).
            halves: half the length of its sides along u and v.
            resolution: points along a side.

        Raises:
            BadInput: for a resolution that no one should ask for.
        """
        require_counts(resolution=resolution)
        if not FEWEST <= resolution <= MOST:
            raise BadInput(
                f"The resolution of a plane should lie between {FEWEST} and {MOST}; {resolution} "
                "came."
            )
        axes = []
        for middle, half in zip(centre, halves, strict=True):
            step = 2 * half / (resolution - 1)
            axes.append(middle + (torch.arange(resolution, dtype=torch.float64) * step - half))
        return cls(*axes)

    @classmethod
    def square(cls, centre: tuple[float, float], half: float, resolution: int) -> Grid:
        """A square around a point; see `box`."""
        return cls.box(centre, (half, half), resolution)

    @classmethod
    def around(
        cls, points: Sequence[tuple[float, float]], resolution: int, margin: float = MARGIN
    ) -> Grid:
        """The square around some points, with room around them; see `box`.

        Args:
            points: what lies inside.
            resolution: points along a side.
            margin: room on every side, as a share of the longer side of the points' box.
        """
        low, high = (tuple(f(axis) for axis in zip(*points, strict=True)) for f in (min, max))
        longer = max(high[0] - low[0], high[1] - low[1])
        centre = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
        return cls.square(centre, longer * (0.5 + margin), resolution)

    @classmethod
    def along(
        cls, base: float, control: tuple[float, float], resolution: int, margin: float = MARGIN
    ) -> Grid:
        """The rectangle of a curve from (0, 0) to (base, 0) that is drawn towards a point; its
        sides differ.

        The curve rises to half the height of the point; room above and below is of that order,
        whatever the base.
        """
        low, high = min(0.0, control[0]), max(base, control[0])
        half = (high - low) * (0.5 + margin)
        return cls.box(
            ((low + high) / 2, control[1] / 2), (half, 1.2 * abs(control[1])), resolution
        )


def levels(resolution: int) -> list[list[tuple[int, int]]]:
    """The points (row, column) of a grid in the order in which they are measured: coarse to fine,
    centre first.

    Returns:
        One list for each level; together every point once.
    """
    middle, stride = resolution // 2, 1
    while stride * 2 <= middle:
        stride *= 2
    found: list[list[tuple[int, int]]] = []
    seen: set[tuple[int, int]] = set()
    while stride:
        places = [i for i in range(resolution) if (i - middle) % stride == 0]
        fresh = [(row, column) for row in places for column in places if (row, column) not in seen]
        fresh.sort(key=lambda at: ((at[0] - middle) ** 2 + (at[1] - middle) ** 2, at))
        seen.update(fresh)
        found.append(fresh)
        stride //= 2
    return found


@dataclass(frozen=True)
class Surface:
    """What was measured on a grid so far; NaN where nothing was.

    Attributes:
        loss: mean over examples in nats, float64 `[rows, columns]`.
        stderr: standard error of that mean over examples, same shape.
        correct: share predicted correctly, same shape.
    """

    loss: Tensor
    stderr: Tensor
    correct: Tensor

    @classmethod
    def empty(cls, resolution: int) -> Surface:
        """A surface on which nothing was measured."""
        return cls(
            *(
                torch.full((resolution, resolution), float("nan"), dtype=torch.float64)
                for _ in range(3)
            )
        )

    @property
    def missing(self) -> Tensor:
        """Which points were not measured, bool `[rows, columns]`."""
        return self.correct.isnan()  # a loss may be infinite far out, and then has no error

    def refined(self) -> Surface:
        """The same points on the grid of 2n - 1."""
        fine = Surface.empty(2 * len(self.loss) - 1)
        for to, values in (
            (fine.loss, self.loss),
            (fine.stderr, self.stderr),
            (fine.correct, self.correct),
        ):
            to[::2, ::2] = values
        return fine


def measure_grid(
    plane: Plane,
    grid: Grid,
    examples: Examples,
    device: str = "cpu",
    known: Surface | None = None,
    progress: Callable[[float], None] = lambda share: None,
    keep: Callable[[Surface], None] = lambda surface: None,
) -> Surface:
    """Measure the loss at every point of a grid that is not known yet.

    The value at a point does not depend on what is measured together with it, so that going on
    after a stop gives the same numbers.

    Args:
        plane: that the grid lies in.
        grid: the points.
        examples: what to measure on.
        device: where to run.
        known: what was measured before; filled in place.
        progress: called with the share of the whole grid that is done; may raise to stop.
        keep: called with what there is after every few points.
    """
    n = len(grid.u)
    surface = known if known is not None else Surface.empty(n)
    missing = surface.missing
    todo = [at for level in levels(n) for at in level if missing[at]]
    together = max(1, min(TOGETHER, HELD // max(1, plane.origin.parameters)))
    done = n * n - len(todo)
    plane = plane.on(device)
    measuring = Evaluator(plane.origin, examples, device)
    for start in range(0, len(todo), together):
        part = todo[start : start + together]
        states = [plane.state(float(grid.u[column]), float(grid.v[row])) for row, column in part]

        def tell(share: float, before: int = done + start, count: int = len(part)) -> None:
            progress((before + share * count) / (n * n))

        losses, correct = (each.double() for each in measuring.losses(states, tell))
        rows, columns = (list(each) for each in zip(*part, strict=True))
        surface.loss[rows, columns] = losses.mean(1)
        surface.stderr[rows, columns] = stderr(losses, examples.groups)
        surface.correct[rows, columns] = correct.mean(1)
        keep(surface)
    return surface
