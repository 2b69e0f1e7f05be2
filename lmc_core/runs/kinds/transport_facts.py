"""What follows from the losses of a carried fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import read_tensor
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.transport import (
    ChoiceNumbers,
    CurveNumbers,
    TaskHead,
    TaskNumbers,
    TransportFacts,
    TransportNumbers,
    find_best,
)

HEADS = ("", "other_")  # of the arrays of the fine-tuning's task, and of the target's own
CHOICE = "choice_"


def read_losses(arrays: Arrays, head: str, shares: int) -> dict[str, Tensor]:
    """The losses of one task, by what they are of.

    Args:
        arrays: as `transport.compute` returns them.
        head: of their names.
        shares: how many there are.

    Returns:
        ``moved`` and ``unmoved`` (`[shares, examples]`), ``tuned`` (`[1, examples]`), those that
        are there, in float64.

    Raises:
        ValueError: they do not fit together.
    """
    found = {
        name: read_tensor(arrays, f"{head}{name}", 2).double()
        for name in ("moved", "unmoved", "tuned")
        if f"{head}{name}" in arrays
    }
    rows = {name: 1 if name == "tuned" else shares for name in found}
    wide = {each.shape[1] for each in found.values()}
    if "moved" not in found or len(wide) != 1 or any(len(found[n]) != rows[n] for n in found):
        raise ValueError("as many losses as shares are needed, on as many examples")
    return found


def transport_facts(
    heads: Sequence[TaskHead], arrays: Arrays, shares: Sequence[float], choice: str
) -> TransportFacts:
    """The entries that follow from the arrays.

    Args:
        heads: the tasks, the fine-tuning's first.
        arrays: as `transport.compute` returns them.
        shares: of the difference, 0 among them.
        choice: split on which the best share is chosen.
    """
    zero = list(shares).index(0.0)
    losses = [read_losses(arrays, head, len(shares)) for head, _ in zip(HEADS, heads, strict=False)]
    groups = [_read_groups(arrays, head) for head in HEADS]
    tasks = [
        _describe_task(head, each, belong, zero)
        for head, each, belong in zip(heads, losses, groups, strict=False)
    ]
    chosen_by = CHOICE if f"{CHOICE}moved" in arrays else ""
    chosen = read_losses(arrays, chosen_by, len(shares))["moved"]
    means = chosen.mean(1).tolist()
    best = find_best(shares, means)
    known: ChoiceNumbers = {"split": choice, "examples": chosen.shape[1], "loss": means}
    recovered, error = _recover(losses[0], zero, best, groups[0])
    return {
        "tasks": tasks,
        "choice": known,
        "best": float(shares[best]),
        "recovered": recovered,
        "recovered_stderr": error,
    }


def _read_groups(arrays: Arrays, head: str) -> Tensor | None:
    name = f"{head}groups"
    return read_tensor(arrays, name, 1) if name in arrays else None


def _describe_task(
    head: TaskHead, losses: dict[str, Tensor], groups: Tensor | None, zero: int
) -> TaskNumbers:
    origin = losses["moved"][zero]
    found = {name: _describe_curve(rows, origin, groups) for name, rows in losses.items()}
    tuned = found.get("tuned")
    return {
        "name": head["name"],
        "unit": head["unit"],
        "about": head["about"],
        "split": head["split"],
        "examples": len(origin),
        "moved": found["moved"],
        "unmoved": found["unmoved"],
        "tuned": tuned
        and {
            "loss": tuned["loss"][0],
            "loss_stderr": tuned["loss_stderr"][0],
            "change": tuned["change"][0],
            "change_stderr": tuned["change_stderr"][0],
        },
    }


def _describe_curve(rows: Tensor, origin: Tensor, groups: Tensor | None) -> CurveNumbers:
    change = rows - origin
    return {
        "loss": rows.mean(1).tolist(),
        "loss_stderr": stderr(rows, groups).tolist(),
        "change": change.mean(1).tolist(),
        "change_stderr": stderr(change, groups).tolist(),
    }


def _recover(
    losses: dict[str, Tensor], zero: int, best: int, groups: Tensor | None
) -> tuple[float | None, float | None]:
    """What the best share gains, as a share of what fine-tuning the target itself gains:
    r = mean(g) / mean(h) with the gains g and h of each example, and the standard error of the mean
    of (g - r h) / mean(h), which is that of r to first order.
    """
    if "tuned" not in losses:
        return None, None
    origin = losses["moved"][zero]
    gain, whole = origin - losses["moved"][best], origin - losses["tuned"][0]
    if not float(whole.mean()) > 0:
        return None, None
    ratio = gain.mean() / whole.mean()
    return float(ratio), float(stderr((gain - ratio * whole) / whole.mean(), groups))


def summarize(request: RequestJson, numbers: TransportNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the arrays; see `runs.computation.summarize`."""
    facts = transport_facts(numbers["tasks"], arrays, numbers["shares"], numbers["choice"]["split"])
    return {**facts, "examples": facts["tasks"][0]["examples"]}
