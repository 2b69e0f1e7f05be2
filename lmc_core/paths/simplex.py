"""The loss over the simplex of three models: theta(w) = w_1 theta_1 + w_2 theta_2 + w_3 theta_3, w
>= 0, sum w = 1.

    excess(w) = L(w) - sum_k w_k L(e_k)    above the plane through the losses of the corners

At a corner the excess is 0 by definition. On an edge it is that of the line between two models.
Several models whose pairs are connected need not be connected at their centre, so the largest
excess over the triangle is the barrier of three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.models.lazy import is_lazy
from lmc_core.models.mixing import mixed, require_alike
from lmc_core.models.model import Model
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import evaluate
from lmc_core.tasks.streamed_losses import StreamedLosses


def grid(resolution: int) -> Tensor:
    """Points of a triangular grid, (i, j, k) / resolution with i + j + k = resolution, and the
    centre where it is not one.

    Returns:
        Barycentric weights, float64 `[points, 3]`; (n + 1)(n + 2) / 2 points, one more unless n is
        a multiple of three.

    Raises:
        BadInput: for a resolution below 2, or more than anyone can mean.
    """
    require_counts(resolution=resolution)
    if resolution < 2:
        raise BadInput(f"The resolution of the simplex should be 2 or more; {resolution} came.")
    n = resolution
    rows = [[i / n, j / n, (n - i - j) / n] for i in range(n, -1, -1) for j in range(n - i, -1, -1)]
    if n % 3:
        rows.append([1 / 3] * 3)
    return torch.tensor(rows, dtype=torch.float64)


def choose_mixtures(count: int, resolution: int | None) -> Tensor:
    """Weights of all that is measured of several models: each of them, the centre, the midpoints of
    pairs, and the grid of three.

    Args:
        count: of models.
        resolution: of the grid; None for none.

    Returns:
        float64 `[points, models]`.
    """
    own = torch.eye(count, dtype=torch.float64)
    middles = [(own[i] + own[j]) / 2 for i, j in combinations(range(count), 2)]
    rows = torch.cat([own, own.mean(0, keepdim=True), torch.stack(middles)])
    if resolution is None:
        return rows
    points = grid(resolution)
    # the others are there
    new = [k for k in range(len(points)) if float((rows - points[k]).abs().amax(1).min()) > 1e-9]
    return torch.cat([rows, points[new]])


@dataclass(frozen=True)
class Simplex:
    """Losses over the triangle of three models.

    Attributes:
        weights: barycentric, float64 `[points, 3]`; corners and centre are among them.
        losses: loss of each example at each point in nats, float32 `[points, examples]`.
        correct: share predicted correctly, same shape.
        groups: which examples belong together, int64 `[examples]`; None where each stands for
            itself.
    """

    weights: Tensor
    losses: Tensor
    correct: Tensor
    groups: Tensor | None = None

    @property
    def corners(self) -> Tensor:
        """Which points are the three models, int64 `[3]`."""
        return (self.weights == 1).double().argmax(0)

    @property
    def centre(self) -> int:
        """Which point has equal weights."""
        return int((self.weights - 1 / 3).abs().sum(1).argmin())

    @property
    def mean(self) -> Tensor:
        """Mean loss at each point in nats, float64 `[points]`."""
        return self.losses.double().mean(1)

    @property
    def excess(self) -> Tensor:
        """Loss of each example above the barycentric combination of those at the corners, float64
        `[points, examples]`.
        """
        losses = self.losses.double()
        return losses - self.weights @ losses[self.corners]

    @property
    def stderr(self) -> Tensor:
        """Standard error of the mean excess over examples, or groups of them, in nats, float64
        `[points]`.
        """
        return stderr(self.excess, self.groups)

    @property
    def top(self) -> int:
        """Where the excess is largest; corners do not count, and where all lie below the plane it
        is the deepest point.

        The second is the convention of `barrier`: else it would only tell how close to a corner the
        first point is.
        """
        mean = self.excess.mean(1)
        mean[self.corners] = float("-inf")
        if float(mean.max()) > 0:
            return int(mean.argmax())
        mean[self.corners] = float("inf")
        return int(mean.argmin())

    @property
    def maximum(self) -> float:
        """The excess there in nats: the barrier of three models."""
        return float(self.excess[self.top].mean())


def measure_simplex(
    models: Sequence[Model],
    examples: Examples,
    resolution: int = 6,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> Simplex:
    """Measure the loss over the triangle of three models in one pass over the data.

    Args:
        models: three, aligned before.
        examples: what to measure on.
        resolution: of the grid; 8 gives 45 points and the centre.
        device: where to run.
        progress: called with the share done; may raise to stop.

    Raises:
        BadInput: for another number of models, or a resolution below 2.
        Incompatible: if their parameters differ.
    """
    if len(models) != 3:
        raise BadInput(f"A simplex is drawn for three models; {len(models)} came.")
    weights = grid(resolution)
    require_alike(models)
    losses, correct = losses_at(models, weights, examples, device, progress)
    return Simplex(weights, losses, correct, examples.groups)


def losses_at(
    models: Sequence[Model],
    weights: Tensor,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Tensor, Tensor]:
    """Loss and correctness of every example at some mixtures of models. Lazily read ones are
    measured part by part, on the CPU, and none is held (`tasks.streamed_losses`).

    Args:
        models: any number, with the same parameters.
        weights: of the mixtures, `[points, models]`.
        examples: what to measure on.
        device: where to run.
        progress: called with the share done; may raise to stop.

    Returns:
        Two float32 tensors `[points, examples]`: loss in nats, share correct.
    """
    if all(is_lazy(model.state) for model in models):
        return StreamedLosses(models, examples).losses(weights.tolist(), progress)
    models = [model.on(device) for model in models]
    states = [mixed(models, row) for row in weights.tolist()]
    return evaluate(models[0], states, examples, device, progress)
