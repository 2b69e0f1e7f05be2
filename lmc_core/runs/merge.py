"""Compute a `MergeRequest`: several models in one frame, ways to merge them, the lines between
them, the simplex of three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmc_core.limits import require_counts
from lmc_core.runs.merge_bench import Bench, opened_bench
from lmc_core.runs.merge_frames import frame_of
from lmc_core.runs.opened import asked, grouped, size_of, stamped
from lmc_core.runs.request import ModelsRequest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Report = Callable[[float, str], None]
# a way to merge, and those of its settings that differ from the defaults
Wanted = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True, kw_only=True)
class MergeRequest(ModelsRequest):
    """Several models brought into one frame, which `method` names, and merged there in several
    ways.

    Attributes:
        merges: ways to merge with their settings, names in `merging.methods.MERGES`.
        weights: of the models, summing to 1.
        ancestor: whether the last of the models is the common ancestor of the others, which is
            moved and not merged.
        stand_in: what stands in for an ancestor otherwise, ``mean`` or ``first``.
        also: further shipped tasks to measure on, those that the models were trained on.
        points: measured inside of each line between two models.
        resolution: of the grid on the simplex of three models; None for other numbers of models.
        save: name under which the one merged model is kept as a checkpoint; "" for not.
        dtype: type of the weights that are written; "" for those of the first model.
    """

    method: str = "none"
    merges: tuple[Wanted, ...] = ()
    weights: tuple[float, ...] = ()
    ancestor: bool = False
    stand_in: str = "mean"
    also: tuple[str, ...] = ()
    points: int = 3
    resolution: int | None = None
    save: str = ""
    dtype: str = ""
    what: str = "merge"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values; a type only where one was asked for, so that keys from
        before stay.
        """
        content = super().to_json()
        if not self.dtype:
            del content["dtype"]
        return content

    @property
    def count(self) -> int:
        """How many models are merged."""
        return len(self.models) - self.ancestor


def compute(
    request: MergeRequest, report: Report = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute what a request asks of several models.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and the arrays ``losses`` (nats, `[points, examples]`),
        ``correct`` and ``weights`` (of the mixtures, `[points, models]`): the models, points on the
        lines of all pairs, then those of the simplex.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs of a model by more than rounding.
    """
    if request.save:
        from lmc_core.runs.merge_save import save

        return save(request, report)
    bench = opened_bench(request, report)
    begin = perf_counter()
    models = bench.model_rows()
    rows = [bench.row(name, dict(settings))[0] for name, settings in request.merges]
    points = mixtures(request.count, request.points, request.resolution)
    losses, correct = bench.losses_at(points)
    task, examples = bench.tasks[0]
    arrays = {
        "losses": losses.numpy(),
        "correct": correct.numpy(),
        "weights": points.numpy(),
        **grouped(examples),
    }
    return {
        **facts_of(request, bench),
        "models_rows": models,
        "rows": rows,
        **centre_of(points, losses, request.count, examples.groups),
        "lines": lines_of(points, losses, request.count, examples.groups),
        "simplex": simplex_of(
            points, losses, correct, request.resolution, task.score, examples.groups
        ),
        "seconds": {
            "align": bench.placed.facts["align_seconds"],
            "evaluate": perf_counter() - begin,
        },
        **stamped(),
    }, arrays


def facts_of(request: MergeRequest, bench: Bench) -> dict[str, Any]:
    """The entries of a result that say what was asked, and how the models came into their frame."""
    task, examples = bench.asked
    frame = frame_of(request.method, dict(request.settings))
    names = list(request.names[: request.count])
    facts = {name: value for name, value in bench.placed.facts.items() if name != "align_seconds"}
    return {
        **asked(request, task, len(examples)),
        "models": names,
        "references": list(request.models[: request.count]),
        "digests": list(request.digests[: request.count]),
        "ancestor": {"name": request.names[-1], "digest": request.digests[-1]}
        if request.ancestor
        else None,
        "stand_in": None if request.ancestor else request.stand_in,
        "weights": list(request.weights),
        "frame": frame.name,
        "frame_title": frame.title,
        "tasks": [
            {
                "name": t.name,
                "unit": t.unit,
                "score": t.score,
                "about": t.sentence,
                "examples": len(e),
            }
            for t, e in bench.tasks
        ],
        **facts,
        **size_of(bench.placed.models),
        "memory": bench.memory,
        "same": bench.same,
    }


def mixtures(count: int, points: int, resolution: int | None) -> Tensor:
    """Weights of all that is measured: each model, the lines of all pairs, the centre, the grid of
    three.

    Args:
        count: of models.
        points: inside of each line.
        resolution: of the grid; None for none.

    Returns:
        float64 `[points, models]`, none twice.
    """
    import torch

    from lmc_core.paths.simplex import grid

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


def lines_of(weights: Tensor, losses: Tensor, count: int, groups: Tensor | None) -> dict[str, Any]:
    """The barrier between every two models over all points measured on their line, its standard
    error, and where it is.
    """
    from lmc_core.paths.barrier import barrier

    empty: list[list[float | None]] = [[None] * count for _ in range(count)]
    found = {name: [list(row) for row in empty] for name in ("barrier", "stderr", "at")}
    points = set()
    for i, j in combinations(range(count), 2):
        others = [k for k in range(count) if k not in (i, j)]
        on = (weights[:, others].abs().sum(1) == 0).nonzero()[:, 0]
        lam = weights[on, j]
        order = lam.argsort()
        top = barrier(lam[order], losses[on[order]], groups)
        points.add(len(on))
        for name, value in (("barrier", top.value), ("stderr", top.stderr), ("at", top.lam)):
            found[name][i][j] = value
            found[name][j][i] = value if name != "at" else 1 - value
    return {**found, "points": max(points)}


def centre_of(
    weights: Tensor, losses: Tensor, count: int, groups: Tensor | None
) -> dict[str, float]:
    """How far the loss of the mean lies above the mean loss of the models, with its standard
    error.
    """
    from lmc_core.intervals.errors import stderr

    middle = int((weights - 1 / count).abs().amax(1).argmin())
    above = losses[middle].double() - losses[:count].double().mean(0)
    return {"centre_excess": float(above.mean()), "centre_stderr": float(stderr(above, groups))}


def simplex_of(
    weights: Tensor,
    losses: Tensor,
    correct: Tensor,
    resolution: int | None,
    score: str,
    groups: Tensor | None,
) -> dict[str, Any] | None:
    """Loss, excess and score over the triangle of three models; None for other numbers of them."""
    if resolution is None:
        return None
    from lmc_core.paths.simplex import Simplex, grid

    points = grid(resolution)
    where = (weights[None] - points[:, None]).abs().amax(2).argmin(1)
    simplex = Simplex(points, losses[where], correct[where], groups)
    scores = (
        simplex.correct.double().mean(1)
        if score == "accuracy"
        else simplex.mean.clamp(max=700.0).exp()
    )
    return {
        "resolution": resolution,
        "weights": points.tolist(),
        "loss": simplex.mean.tolist(),
        "excess": simplex.excess.mean(1).tolist(),
        "excess_stderr": simplex.stderr.tolist(),
        score: scores.tolist(),
        "maximum": simplex.maximum,
        "maximum_stderr": float(simplex.stderr[simplex.top]),
        "maximum_at": simplex.weights[simplex.top].tolist(),
    }
