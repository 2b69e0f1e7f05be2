"""What a sweep takes from one stored result: the height of the path or of the centre, its score,
and what every example adds to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmc_core.paths.pair_numbers import Measured, numbers
from lmc_core.runs.request import WINDOW
from lmc_core.runs.result import Result
from lmc_core.tasks import TASKS


@dataclass(frozen=True)
class CellNumbers:
    """Numbers of one result.

    Attributes:
        height: barrier of a pair, or loss of the centre of a group above the mean of its models, in
            nats.
        score: largest drop of the accuracy below the chord (of a group: of the centre below the
            mean of its models) in points, or the largest perplexity (of the centre).
        groups: which examples belong together; None for none.
        result: all numbers.
    """

    height: Measured
    score: Measured
    groups: Tensor | None
    result: Mapping[str, Any]


def measure(found: Result) -> CellNumbers:
    """The numbers of a stored barrier or group.

    Raises:
        StoreError: its arrays cannot be read.
    """
    arrays, result = found.arrays(), found.result
    groups = arrays.get("groups")
    if str(found.request["what"]) == "group":
        count = len(result["models"])
        losses, correct = (torch.as_tensor(arrays[name]).double() for name in ("losses", "correct"))
        height = _mean(losses[count] - losses[:count].mean(0))
        if result["score"] == "accuracy":
            score = _mean(100 * (correct[:count].mean(0) - correct[count]))
        else:
            perplexity = math.exp(min(float(losses[count].mean()), 700.0))
            score = Measured(perplexity, perplexity * losses[count])
    else:
        both = numbers(result["lam"], arrays, result["score"])
        height, score = both["barrier"], both["score"]
    known = torch.as_tensor(groups) if groups is not None else _find_groups(result)
    return CellNumbers(height, score, known, result)


def _mean(parts: Tensor) -> Measured:
    return Measured(float(parts.mean()), parts)


def _find_groups(result: Mapping[str, Any]) -> Tensor | None:
    """Which examples of an older result belong together, as it would be stored now; None of data of
    one's own.
    """
    if result["task"] not in TASKS:
        return None
    chosen = result["split"], result["examples"], result["seed"], result["length"] or WINDOW
    return TASKS[result["task"]].examples(*chosen).groups
