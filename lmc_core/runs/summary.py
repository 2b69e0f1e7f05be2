"""What a result says of its own arrays, recomputed: a number that is shown follows from the curve
that is shown with it.

A result that was computed here by these formulas says so in its manifest and is believed. What was
written by other formulas is recomputed when it is read, and what comes out of an archive when it is
imported, whatever its manifest says. Entries that no array determines (seconds, what a matcher
reports, curves whose losses of single examples are not kept) stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lmc_core.errors import LmcError
from lmc_core.runs.result import Result, digest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SUMMARY = 2  # raised whenever an entry of `SUMMARIES` is added or computed otherwise
# relative and absolute differences that rounding explains; arrays are float32
CLOSE, NEAR = 1e-6, 1e-7
SCORES = ("accuracy", "perplexity")
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
Values = dict[str, Any]
Arrays = Mapping[str, "np.ndarray"]
# what arrays that do not fit can raise
Misfit = (LmcError, LookupError, TypeError, ValueError, RuntimeError, AttributeError)

_KNOWN: dict[tuple[str, str], Values] = {}  # (folder, digest of the manifest) -> entries
MOST_KNOWN = 256


def follows(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    """Return the entries of a result that follow from its arrays; empty for a kind that has none.

    Args:
        request: as JSON values; says the kind.
        result: as JSON values; says which points the arrays belong to.
        arrays: by name.

    Raises:
        Misfit: the arrays are not those of such a result.
    """
    summary = SUMMARIES.get(str(request.get("what")))
    return {} if summary is None or not arrays else summary(request, result, arrays)


def current(found: Result) -> Result:
    """Return a result whose summary follows from its arrays by today's formulas.

    What an earlier version wrote in another form, so that it cannot be recomputed, is returned as
    it is.

    Raises:
        StoreError: the result was deleted meanwhile.
    """
    if found.summary == SUMMARY or str(found.request.get("what")) not in SUMMARIES:
        return found
    try:
        mark = str(found.folder), digest((found.folder / "manifest.json").read_bytes())
    except OSError:  # deleted meanwhile
        return found
    if mark not in _KNOWN:
        while len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.pop(next(iter(_KNOWN)), None)
        arrays = found.arrays()
        try:
            _KNOWN[mark] = follows(found.request, found.result, arrays)
        except Misfit:
            _KNOWN[mark] = {}
    return replace(found, result={**found.result, **_KNOWN[mark]})


def contradicts(said: Mapping[str, Any], follows: Mapping[str, Any]) -> list[str]:
    """Return the entries that a result states otherwise than its arrays do, by more than rounding;
    what is absent is not.
    """
    return [
        name for name, value in follows.items() if name in said and not _alike(said[name], value)
    ]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_alike(one[name], value) for name, value in other.items() if name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=NEAR) or (
            one != one and other != other
        )
    return one == other


def _tensor(arrays: Arrays, name: str, axes: int) -> Tensor:
    import torch

    array = arrays[name]
    if array.ndim != axes:
        raise ValueError(f"{name} has {array.ndim} axes")
    return torch.from_numpy(array.copy())


def _groups(arrays: Arrays) -> Tensor | None:
    """Which examples belong together; None of results that know of none, as those of earlier
    versions.
    """
    return _tensor(arrays, "groups", 1) if "groups" in arrays else None


def _points(result: Mapping[str, Any], count: int) -> Tensor:
    import torch

    lam = torch.tensor(result["lam"], dtype=torch.float64)
    if lam.shape != (count,):
        raise ValueError("as many points as rows are needed")
    return lam


def _score(result: Mapping[str, Any]) -> str:
    if result["score"] not in SCORES:
        raise ValueError("no such score")
    return str(result["score"])


def _barrier(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    from lmc_core.paths.curve import Curve
    from lmc_core.runs.kinds.barrier import curve_facts
    from lmc_core.runs.softened import soft_curve_facts

    losses, correct = (_tensor(arrays, name, 2) for name in ("losses", "correct"))
    if losses.shape != correct.shape:
        raise ValueError("losses and correct differ in shape")
    curve = Curve(_points(result, len(losses)), losses, correct, _groups(arrays))
    found = {**curve_facts(curve, _score(result)), "examples": losses.shape[1]}
    if (soft := result.get("soft")) is not None:
        if "own" in arrays:
            own = _tensor(arrays, "own", 1)
            found |= soft_curve_facts(curve, own)
            soft = {**soft, "loss_of_b": float(own.double().mean())}
        else:  # of an earlier version: the means follow, the errors do not
            chord = [(1 - x) * found["loss"][0] + x * soft["loss_of_b"] for x in found["lam"]]
            found = {name: value for name, value in found.items() if name not in AGAINST_TRUE_END}
            found |= _above(found["lam"], found["loss"], chord, last=True) | _kept(
                result, "excess_stderr", "barrier_stderr"
            )
        found["soft"] = {**soft, "loss": found["loss"][-1]}
    if (tempered := result.get("tempered")) is not None:
        found["tempered"] = {**tempered, **_above(found["lam"], tempered["loss"])}
    return found


def _kept(result: Mapping[str, Any], *names: str) -> Values:
    return {name: result[name] for name in names}


def _above(
    lam: list[float], loss: list[float], chord: list[float] | None = None, last: bool = False
) -> Values:
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
    return {"excess": above, "barrier": above[top], "barrier_lam": lam[top]} | (
        {"chord": chord} if own else {}
    )


def _layers(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    from lmc_core.analysis.parts import PartCosts

    own, half, swapped = (
        _tensor(arrays, "own", 1),
        _tensor(arrays, "half", 2),
        _tensor(arrays, "swapped", 2),
    )
    if len({len(half), len(swapped), len(result["parts"])}) != 1:
        raise ValueError("as many parts as rows are needed")
    costs = PartCosts((), own, half, swapped, _groups(arrays))
    (cost, cost_error), (swap, swap_error) = costs.above(half), costs.above(swapped)
    return {
        "examples": len(own),
        "loss": float(own.double().mean()),
        "cost": cost.tolist(),
        "cost_stderr": cost_error.tolist(),
        "swap": swap.tolist(),
        "swap_stderr": swap_error.tolist(),
    }


def _plane(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    from lmc_core.runs.kinds.plane import NUMBERS, lowest_of

    shape = (len(arrays["v"]), len(arrays["u"]))
    if any(arrays[name].shape != shape for name in NUMBERS) or shape[0] != request["resolution"]:
        raise ValueError("the grid is not that of the request")
    return lowest_of(dict(arrays), _score(result))


def _point(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    from lmc_core.runs.kinds.point import numbers_of

    losses = _tensor(arrays, "losses", 1)
    return {
        **numbers_of(losses, _tensor(arrays, "correct", 1), _groups(arrays)),
        "examples": len(losses),
    }


def _bend(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    import torch

    from lmc_core.runs.kinds.bend import path_facts

    lam, score = torch.linspace(0, 1, int(request["points"]), dtype=torch.float64), _score(result)
    paths = []
    for path in result["paths"]:
        found = path_facts(lam, _tensor(arrays, f"losses.{path['name']}", 2), _groups(arrays))
        if score == "perplexity":
            found[score] = [math.exp(min(value, 700.0)) for value in found["loss"]]
        paths.append({**path, **found})
    return {"paths": paths}


def _group(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    from lmc_core.runs.kinds.many import numbers_of

    weights, losses, correct = (
        _tensor(arrays, name, 2) for name in ("weights", "losses", "correct")
    )
    count = len(request["digests"])
    if weights.shape != (len(losses), count) or losses.shape != correct.shape:
        raise ValueError("the mixtures are not those of the request")
    found = numbers_of(
        weights, losses, correct, count, request["resolution"], _score(result), _groups(arrays)
    )
    return found | {"examples": losses.shape[1]}


def _merge(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    from lmc_core.merging.measure import mean_and_error
    from lmc_core.runs.kinds.merge import centre_of, lines_of, simplex_of

    weights, losses, correct = (
        _tensor(arrays, name, 2) for name in ("weights", "losses", "correct")
    )
    count = len(request["digests"]) - bool(request["ancestor"])
    if weights.shape != (len(losses), count) or losses.shape != correct.shape:
        raise ValueError("the mixtures are not those of the request")
    score, task, groups = _score(result), str(result["task"]), _groups(arrays)

    def measured(row: Mapping[str, Any], k: int) -> Values:
        (loss, error), (right, right_error) = (
            mean_and_error(each[k], groups) for each in (losses, correct)
        )
        if score == "perplexity":
            right = math.exp(min(loss, 700.0))
            right_error = error * right
        own = {"loss": loss, "loss_stderr": error, score: right, f"{score}_stderr": right_error}
        return {**row, "measured": {**row["measured"], task: {**row["measured"][task], **own}}}

    rows = result["models_rows"]
    return {
        "examples": losses.shape[1],
        "models_rows": [measured(row, k) if k < count else row for k, row in enumerate(rows)],
        **centre_of(weights, losses, count, groups),
        "lines": lines_of(weights, losses, count, groups),
        "simplex": simplex_of(weights, losses, correct, request["resolution"], score, groups),
    }


def _orders(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    import torch

    from lmc_core.runs.kinds.orders import curve_of

    lam = torch.linspace(0, 1, int(request["points"]), dtype=torch.float64)
    points = lam.tolist()

    def fan(said: Mapping[str, Any]) -> Values:
        losses = _tensor(arrays, f"losses.{said['mixture']}", 3)
        if len(losses) != len(said["orders"]):
            raise ValueError("as many orders as curves are needed")
        curves = [curve_of(lam, each, _groups(arrays)) for each in losses]
        found = {**said, **{name: [curve[name] for curve in curves] for name in curves[0]}}
        if said["mixture"] != "all":  # where the best of all was put together from the best of each
            top = torch.tensor(found["barrier"])
            found["named"] = {
                **said["named"],
                "best": int(top.argmin()),
                "worst": int(top.argmax()),
            }
        return found

    def alone(curve: Mapping[str, Any] | None) -> Values | None:
        if curve is None:
            return None
        return {
            **curve,
            **{name: _above(points, curve["loss"])[name] for name in ("barrier", "barrier_lam")},
        }

    ends = result["plain"]["loss"][0], result["plain"]["loss"][-1]
    # which earlier versions had not
    matched = {"matched": alone(result["matched"])} if "matched" in result else {}
    return matched | {
        "lam": points,
        "chord": [(1 - x) * ends[0] + x * ends[1] for x in points],
        "plain": alone(result["plain"]),
        "fans": [fan(each) for each in result["fans"]],
    }


def _alignment(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    """Angles, condition and what changed places; the cosines need all coordinates, of which blocks
    are kept.
    """
    import torch

    def space(said: Mapping[str, Any]) -> Values:
        found, name, size = dict(said), said["name"], int(said["size"])
        if f"{name}/angles" in arrays:
            found["angle"] = _tensor(arrays, f"{name}/angles", 2).double().abs().mean(-1).tolist()
        if f"{name}/singular" in arrays:
            singular = _tensor(arrays, f"{name}/singular", 2).double()
            found["condition"] = [
                x if math.isfinite(x) else None for x in (singular[:, 0] / singular[:, -1]).tolist()
            ]
        if f"{name}/indices" in arrays:
            places = torch.from_numpy(arrays[f"{name}/indices"].copy()).reshape(-1, size)
            found["moved"] = (places != torch.arange(size)).sum(-1).tolist()
        if f"{name}/scales" in arrays:
            found["flipped"] = (
                (torch.from_numpy(arrays[f"{name}/scales"].copy()).reshape(-1, size) < 0)
                .sum(-1)
                .tolist()
            )
        return found

    def stream(name: str, said: Mapping[str, Any]) -> Values:
        own = _tensor(arrays, f"{name}/cka", 2).double().diagonal().tolist()
        return {**said, "cka": [x if math.isfinite(x) else None for x in own]}

    return {
        "spaces": [space(each) for each in result["spaces"]],
        "streams": {name: stream(name, said) for name, said in result["streams"].items()},
    }


def _equivariance(request: Mapping[str, Any], result: Mapping[str, Any], arrays: Arrays) -> Values:
    """The last row of the record; errors over examples are not in it."""
    last = {
        name: arrays[f"trace.{name}"][-1].tolist()
        for name in ("gamma", "multiplier", "slack", "gauge", "error")
    }
    scores = zip(
        *(arrays[f"trace.{name}"][-1].tolist() for name in ("loss", "accuracy")), strict=True
    )
    found = {
        name: {**result[name], "loss": loss, "accuracy": accuracy}
        for name, (loss, accuracy) in zip(
            ("train_on", "train_off", "on", "off"), scores, strict=True
        )
    }
    error_on, error_off = last.pop("error")
    return {**found, **last, "error_on": error_on, "error_off": error_off}


SUMMARIES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any], Arrays], Values]] = {
    "barrier": _barrier,
    "layers": _layers,
    "plane": _plane,
    "point": _point,
    "bend": _bend,
    "group": _group,
    "merge": _merge,
    "orders": _orders,
    "alignment": _alignment,
    "equivariance": _equivariance,
}
"""Kind of computation -> what its arrays determine: from request, result and arrays, all of its own
kind.
"""
