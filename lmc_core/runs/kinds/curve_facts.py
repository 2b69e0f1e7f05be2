"""The entries of a result that follow from a curve and from the alignment of its ends."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import cast

import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.matching.aligned import AlignedPair
from lmc_core.paths.above_chord import SINGLE, above_chord, crossfitted, drop_facts
from lmc_core.paths.barrier import excess, place
from lmc_core.paths.curve import Curve
from lmc_core.paths.soft_end import against_true_ends, place_to_soft_end
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import read_groups, read_score, read_tensor
from lmc_core.runs.kinds import PairNumbers
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.barrier import BarrierNumbers, CurveNumbers, Sampling, SoftNumbers

# entries on the loss above the chord that need B's own losses, one by one, where a line leads to a
# soft end
AGAINST_TRUE_END = (
    "excess_low",
    "excess_high",
    "excess_factor",
    "at_zero",
    "midpoint_excess",
    "midpoint_excess_stderr",
    "barrier_crossfit",
    "barrier_crossfit_stderr",
)


def pair_facts(pair: AlignedPair | None) -> PairNumbers:
    """The entries of a result that say what an alignment found and that no function changed; empty
    ones for none.
    """
    if pair is None:
        return {
            "function_error": None,
            "objective": [],
            "objective_before": None,
            "start": None,
            "found": {},
        }
    facts = {
        "function_error": pair.function_error,
        "objective": list(pair.trace.objective),
        "objective_before": pair.trace.before,
        "start": pair.trace.start,
        "found": dict(pair.trace.about),
        "places": {
            space: {name: values.tolist() for name, values in asdict(place).items()}
            for space, place in pair.places.items()
        },
    }
    return cast(PairNumbers, facts)


def curve_facts(found: Curve, score: str) -> CurveNumbers:
    """The entries of a result that are its curve: losses, chord, excess, score, barrier, and the
    area above the chord.

    ``barrier`` is the largest excess as it is, ``barrier_crossfit`` the same without the bias of
    having looked for it; the band and ``at_zero`` are those of `above_chord`. Errors are over
    examples, or the groups of the curve.

    Args:
        found: the curve; one whose groups are not known, as of old results, is taken for one of
            independent examples.
        score: of the task, ``accuracy`` or ``perplexity``.
    """
    mean, lam = found.mean, found.lam
    above = excess(lam, found.losses)
    top = found.barrier
    chord = (1 - lam) * mean[0] + lam * mean[-1]
    areas = torch.trapezoid(above, lam, dim=0)
    middle = int((lam - 0.5).abs().argmin())
    if score == "accuracy":
        scores = found.correct.double().mean(1).tolist()
    else:
        scores = [math.exp(min(value, 700.0)) for value in mean.tolist()]
    facts = {
        "lam": lam.tolist(),
        "loss": mean.tolist(),
        "loss_stderr": found.stderr.tolist(),
        "chord": chord.tolist(),
        **above_chord(lam, above, found.groups, SINGLE * float(mean.abs().max())),
        score: scores,
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
        **crossfitted(above, found.groups, place, "barrier"),
        **(drop_facts(found) if score == "accuracy" else {}),
        "area": float(areas.mean()),
        "area_stderr": float(stderr(areas, found.groups)),
        "midpoint_loss": float(mean[middle]),
    }
    return cast(CurveNumbers, facts)


def soft_curve_facts(found: Curve, own: Tensor) -> Entries:
    """Chord, excess and barrier of a curve to a soft end, against what B itself loses (`own`,
    `[examples]`).
    """
    ends = against_true_ends(found, own)
    above = ends.excess
    return {
        "chord": ends.chord.tolist(),
        **above_chord(found.lam, above, found.groups, SINGLE * float(found.mean.abs().max())),
        "barrier": ends.barrier.value,
        "barrier_stderr": ends.barrier.stderr,
        "barrier_lam": ends.barrier.lam,
        **crossfitted(above, found.groups, place_to_soft_end, "barrier"),
    }


def summarize(request: RequestJson, numbers: BarrierNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    losses, correct = (read_tensor(arrays, name, 2) for name in ("losses", "correct"))
    if losses.shape != correct.shape:
        raise ValueError("losses and correct differ in shape")
    lam = torch.tensor(numbers["lam"], dtype=torch.float64)
    if lam.shape != (len(losses),):
        raise ValueError("as many points as rows are needed")
    curve = Curve(lam, losses, correct, read_groups(arrays))
    facts = curve_facts(curve, read_score(numbers["score"]))
    found: dict[str, object] = {**facts, "examples": losses.shape[1]}
    if (soft := numbers.get("soft")) is not None:
        if "own" in arrays:
            own = read_tensor(arrays, "own", 1)
            found |= soft_curve_facts(curve, own)
            soft = {**soft, "loss_of_b": float(own.double().mean())}
        else:  # of an earlier version: the means follow, the errors do not
            points, loss = facts["lam"], facts["loss"]
            chord = [(1 - x) * loss[0] + x * soft["loss_of_b"] for x in points]
            found = {name: value for name, value in found.items() if name not in AGAINST_TRUE_END}
            found |= above_means(points, loss, chord, last=True) | {
                "excess_stderr": numbers["excess_stderr"],
                "barrier_stderr": numbers["barrier_stderr"],
            }
        found["soft"] = {**soft, "loss": facts["loss"][-1]}
    if (tempered := numbers.get("tempered")) is not None:
        found["tempered"] = {**tempered, **above_means(facts["lam"], tempered["loss"])}
    return found


def describe_soft_end(pair: AlignedPair, found: Curve, own: Tensor) -> SoftNumbers:
    """What is said of a soft end: the function error is its own, and B's stands beside it.

    Args:
        pair: that was aligned, softly.
        found: the curve to the soft end.
        own: what B itself loses, `[examples]`.
    """
    assert pair.soft is not None
    about = pair.trace.about["soft"]
    return {
        "temperature": about["temperature"],
        "entropy": about["entropy"],
        "sharp": about["sharp"],
        "softened": about["softened"],
        "loss": float(found.mean[-1]),
        "loss_of_b": float(own.double().mean()),
        "function_error": pair.soft.function_error,
        "hard_function_error": pair.function_error,
    }


def describe_sampling(found: Curve, goal: float, there: int) -> tuple[Sampling, str]:
    """How many examples were taken for a standard error, as entries and in a sentence."""
    taken, error = found.losses.shape[1], found.barrier.stderr
    reached = error <= goal
    if reached:
        words = (
            f"{taken:,} of {there:,} examples were taken, which give the standard error of the "
            f"barrier that was asked for, {goal:g} nats."
        )
    else:
        words = (
            f"All {there:,} examples were taken and the standard error of the barrier is "
            f"{error:.2g} nats; the {goal:g} asked for are out of reach with them."
        )
    return {"stderr": goal, "there": there, "reached": reached}, words


def above_means(
    lam: list[float], loss: list[float], chord: list[float] | None = None, last: bool = False
) -> dict[str, object]:
    """Excess and barrier of a curve of which the means alone are kept.

    Args:
        lam: the points.
        loss: mean loss at each.
        chord: what it is measured against; by default the line between the first and the last.
        last: whether the last point counts, as it does for a line to a soft end.
    """
    if len(loss) != len(lam):
        raise ValueError("as many losses as points are needed")
    own = chord is not None
    chord = chord or [(1 - x) * loss[0] + x * loss[-1] for x in lam]
    above = [a - b for a, b in zip(loss, chord, strict=True)]
    inside = range(1, len(lam) if last else len(lam) - 1)
    top = max(inside, key=above.__getitem__)
    if not last and above[top] <= 0:  # the convention of `paths.barrier`
        top = min(inside, key=above.__getitem__)
    found: dict[str, object] = {"excess": above, "barrier": above[top], "barrier_lam": lam[top]}
    return {**found, "chord": chord} if own else found
