"""What losses at mixtures of several models say: the lines between every two, their centre, and the
triangle of three.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import cast

import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.merging.numbers import CentreNumbers, LinesNumbers, Matrix, SimplexNumbers
from lmc_core.paths.barrier import barrier
from lmc_core.paths.simplex import Simplex, grid


@dataclass(frozen=True)
class Mixtures:
    """What was measured at mixtures of several models.

    Attributes:
        weights: of the mixtures, float64 `[points, models]`; those of the models themselves come
            first.
        losses: in nats, `[points, examples]`.
        correct: of the same shape.
        count: of models.
        groups: which examples belong together, `[examples]`; None for none.
    """

    weights: Tensor
    losses: Tensor
    correct: Tensor
    count: int
    groups: Tensor | None = None

    def centre(self) -> CentreNumbers:
        """How far the loss of the mean lies above the mean loss of the models."""
        middle = int((self.weights - 1 / self.count).abs().amax(1).argmin())
        above = self.losses[middle].double() - self.losses[: self.count].double().mean(0)
        return {
            "centre_excess": float(above.mean()),
            "centre_stderr": float(stderr(above, self.groups)),
        }

    def lines(self) -> LinesNumbers:
        """The barrier between every two models over all points measured on their line, its standard
        error, and where it is.
        """
        found: tuple[Matrix, Matrix, Matrix] = self._matrix(), self._matrix(), self._matrix()
        tops, errors, places = found
        points = set()
        for i, j in combinations(range(self.count), 2):
            others = [k for k in range(self.count) if k not in (i, j)]
            on = (self.weights[:, others].abs().sum(1) == 0).nonzero()[:, 0]
            lam = self.weights[on, j]
            order = lam.argsort()
            top = barrier(lam[order], self.losses[on[order]], self.groups)
            points.add(len(on))
            tops[i][j] = tops[j][i] = top.value
            errors[i][j] = errors[j][i] = top.stderr
            places[i][j], places[j][i] = top.lam, 1 - top.lam
        return {"barrier": tops, "stderr": errors, "at": places, "points": max(points)}

    def _matrix(self) -> Matrix:
        return [[None] * self.count for _ in range(self.count)]

    def simplex(self, resolution: int, score: str = "") -> SimplexNumbers:
        """The loss over the triangle of three models, at the points of a grid among all that were
        measured.

        Args:
            resolution: of the grid.
            score: ``accuracy`` or ``perplexity``, which is also given; "" for none.
        """
        points = grid(resolution)
        where = (self.weights[None] - points[:, None]).abs().amax(2).argmin(1)
        simplex = Simplex(points, self.losses[where], self.correct[where], self.groups)
        scores = {}
        if score == "accuracy":
            scores = {score: simplex.correct.double().mean(1).tolist()}
        elif score:
            scores = {score: simplex.mean.clamp(max=700.0).exp().tolist()}
        found = {
            "resolution": resolution,
            "weights": points.tolist(),
            "loss": simplex.mean.tolist(),
            "excess": simplex.excess.mean(1).tolist(),
            "excess_stderr": simplex.stderr.tolist(),
            **scores,
            "maximum": simplex.maximum,
            "maximum_stderr": float(simplex.stderr[simplex.top]),
            "maximum_at": simplex.weights[simplex.top].tolist(),
        }
        return cast(SimplexNumbers, found)


def choose_mixtures(count: int, points: int, resolution: int | None) -> Tensor:
    """Weights of all that is measured: each model, the lines of all pairs, the centre, the grid of
    three.

    Args:
        count: of models.
        points: inside of each line.
        resolution: of the grid; None for none.

    Returns:
        float64 `[points, models]`, none twice.
    """
    require_counts(points=points, resolution=resolution)
    rows = [tuple(float(i == k) for i in range(count)) for k in range(count)]
    for i, j in combinations(range(count), 2):
        for step in range(1, points + 1):
            t = step / (points + 1)
            rows.append(tuple((1 - t) * (k == i) + t * (k == j) for k in range(count)))
    rows.append((1 / count,) * count)
    if resolution is not None:
        rows += [tuple(row) for row in grid(resolution).tolist()]
    return torch.tensor(
        list({tuple(round(x, 12) for x in row): row for row in rows}.values()), dtype=torch.float64
    )
