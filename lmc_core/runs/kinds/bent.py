"""Curves with a bend in place of the straight line of a barrier: where the bend comes from, and
what is said of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch

from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.methods import METHODS
from lmc_core.paths.bezier import BendSettings, Bezier
from lmc_core.paths.curve import measure
from lmc_core.paths.line import Line
from lmc_core.progress import Part, Progress
from lmc_core.runs.kinds import BendTraining
from lmc_core.runs.kinds.bend import path_facts, train_bend
from lmc_core.runs.requests.along import AlongRequest
from lmc_core.runs.requests.barrier import BarrierRequest, BentNumbers, StraightNumbers
from lmc_core.tasks import Examples, Task
from lmc_core.tasks.evaluator import Mode

KEPT = (
    *("lam", "loss", "loss_stderr", "excess", "excess_stderr"),
    *("barrier", "barrier_stderr", "barrier_lam"),
)
STEPS = 300  # that train a bend where nothing else is said


# chosen on GPT-2 and validation windows; see docs/log/learning.md
BENDING = BendSettings(rate=2e-3, matrix_rate=0.01, spread=0.4, targets="ends")


@dataclass(frozen=True)
class Bent:
    """A curve with a bend.

    Attributes:
        path: the curve.
        training: of the bend alone; None where it was learned with the alignment.
    """

    path: Bezier
    training: BendTraining | None


def require_bend(method: str, steps: int, seconds: float | None, changed: bool) -> bool:
    """Check what is asked of a bend; returns whether one is trained after the alignment.

    Args:
        method: ``none`` or a name.
        steps: that train it; 0 for none.
        seconds: a budget in place of these.
        changed: whether the interpolated network is renormalised, or its routers fitted.

    Raises:
        BadInput: for a number that makes no sense, or together with what bends by itself or is
            defined for a line alone.
    """
    require_counts(bend=steps)
    if steps < 0 or (seconds is not None and not 0 < seconds < float("inf")):
        raise BadInput(
            f"A bend is trained for a number of steps or seconds above 0; {steps} steps and "
            f"{seconds} seconds came."
        )
    wanted = bool(steps or seconds)
    joint = method != "none" and METHODS[method].bends
    if wanted and joint:
        raise BadInput(
            f"The method {method} learns a bend with the alignment; leave out the further one."
        )
    if changed and (wanted or joint):
        raise BadInput(
            "Networks are renormalised, and routers fitted, on the straight line; leave out either "
            "that or the bend."
        )
    return wanted


def find_bent(
    request: BarrierRequest | AlongRequest,
    line: Line,
    pair: AlignedPair | None,
    task: Task,
    progress: Progress,
    refresh: bool = False,
) -> Bent | None:
    """The curve that a request asks for in place of the line, trained now, or with the alignment;
    None for the line itself.

    Args:
        request: what to do.
        line: between the ends.
        pair: that was aligned, if any was.
        task: of the request.
        progress: told the share done and a few words; may raise to stop.
        refresh: train also what was trained before.
    """
    if pair is not None and pair.bend is not None:
        return Bent(Bezier.displaced(line.a, line.b, pair.bend), None)
    if not (request.bend or request.bend_seconds):
        return None

    def say(share: float, words: str) -> None:
        progress(share, f"bending the curve: {words}")

    settings = replace(BENDING, steps=request.bend or STEPS, seconds=request.bend_seconds)
    curve, about = train_bend(request, line.a, line.b, task, settings, say, refresh)
    return Bent(curve, about)


def describe_bent(
    bent: Bent, line: Line, examples: Examples, request: BarrierRequest, progress: Part, mode: Mode
) -> BentNumbers:
    """The size of a curve, and the straight line between the same ends at the points of the grid.

    Args:
        bent: the curve.
        line: between its ends.
        examples: that it was measured on.
        request: what is asked.
        progress: told the share done and a few words; may raise to stop.
        mode: how the network runs.
    """
    lam = torch.linspace(0, 1, request.points, dtype=torch.float64)
    told = progress.part(0.0, 1.0, "measuring the straight line beside it")
    straight = measure(line, lam, examples, request.device, told, mode=mode)
    facts = path_facts(straight.lam, straight.losses, straight.groups)
    return {
        **bent.path.extent(),
        "straight": cast(StraightNumbers, {name: facts[name] for name in KEPT}),
        "training": bent.training,
    }
