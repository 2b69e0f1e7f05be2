"""How long a run will take, from what runs took before: said before it starts, as a guess from this machine's own results.

The work of measuring a curve is counted as points x examples x parameters, that of learning as steps x parameters; the seconds
of stored results on the same kind of device give a rate, of which the median over the most similar ones is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from lmc_core.runs.request import BarrierRequest

Result = Mapping[str, Any]
NEAREST = 5  # results at the most that a rate is taken from


def expected_seconds(request: BarrierRequest, results: Sequence[Result], available: int) -> float | None:
    """Seconds that a barrier will take, or None when nothing like it was ever computed.

    Args:
        request: what is asked for.
        results: of barriers, stored on this machine or shipped.
        available: examples of the split, which is what the request takes when it names no number.
    """
    like = [r for r in results if r.get("what", "barrier") == "barrier" and r["device"] == request.device]
    like = [r for r in like if r.get("parameters") and r["seconds"]["evaluate"] > 0]
    same = [r for r in like if r["task"] == request.task and _alike(r, request)]
    near = (same or [r for r in like if r["task"] == request.task] or like)[:NEAREST]
    if not near:
        return None
    parameters = median(r["parameters"] for r in same or near)
    rate = median(r["seconds"]["evaluate"] / (len(r["lam"]) * r["examples"] * r["parameters"]) for r in near)
    points = request.points + request.refine
    measuring = rate * points * min(request.examples or available, available) * parameters
    if request.method == "none":
        return measuring
    aligning = _align(request, like, parameters)
    return None if aligning is None else measuring + aligning


def _align(request: BarrierRequest, like: Sequence[Result], parameters: float) -> float | None:
    settings = dict(request.settings)
    if settings.get("seconds"):
        return float(settings["seconds"])
    done = [r for r in like if r["method"] == request.method and r["seconds"]["align"] > 0]
    done = [r for r in done if _alike(r, request)] or done
    if not done:
        return None
    near = done[:NEAREST]
    if steps := settings.get("steps"):
        taken = [r for r in near if (r.get("found") or {}).get("steps")]
        if taken:
            return steps * parameters * median(r["seconds"]["align"] / (r["found"]["steps"] * r["parameters"]) for r in taken)
    return parameters * median(r["seconds"]["align"] / r["parameters"] for r in near)


def _alike(result: Result, request: BarrierRequest) -> bool:
    """Whether a result is of the same kind of models: names that differ in the seed alone."""
    stems = {name.rstrip("0123456789") for name in request.names}
    return {name.rstrip("0123456789") for name in result["models"]} == stems
