"""What is kept of a training: the constraint at every step that is recorded, losses, and paths at
some of them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmc_core.equivariance.data import Sample
from lmc_core.equivariance.forms import State
from lmc_core.equivariance.measures import equivariance_error, gauge, path, score
from lmc_core.equivariance.relaxed import Relaxed

RECORDED = 60  # steps at which everything is measured
PATHS = (0.0, 0.1, 0.3, 1.0)  # of the steps, at which the path to the projection is measured
FEW = 60  # examples whose positions tell the error of equivariance


class Trace:
    """The record of one training.

    Args:
        relaxed: the network that is trained.
        taught: what it is trained on.
        held: what it is not.
        steps: of the training.
        shares: points of a path.
    """

    def __init__(self, relaxed: Relaxed, taught: Sample, held: Sample, steps: int, shares: int):
        self._relaxed, self._taught, self._held = relaxed, taught, held
        self._shares = torch.linspace(0, 1, shares)
        self._due = set(
            np.unique(np.linspace(0, steps, min(RECORDED, steps) + 1).round().astype(int)).tolist()
        )
        self._paths_due = {round(share * steps) for share in PATHS}
        self._rows: dict[str, list[Any]] = {}
        self._few = held.inputs[:: max(1, len(held) // FEW)][:FEW]

    def record(self, step: int, state: State, gradient: Tensor) -> bool:
        """Measure and keep, if this step is one to keep; returns whether it was."""
        if step in self._paths_due:
            scores = path(self._relaxed, state.gamma, self._shares, self._held)
            self._add("path.step", step)
            for name in ("loss", "stderr", "accuracy"):
                self._add(f"path.{name}", [getattr(each, name) for each in scores])
        if step not in self._due:
            return False
        zero = torch.zeros_like(state.gamma)
        scores = [
            score(self._relaxed, at, on)
            for on in (self._taught, self._held)
            for at in (state.gamma, zero)
        ]
        self._add("trace.step", step)
        for name, value in (
            ("gamma", state.gamma),
            ("multiplier", state.multiplier),
            ("slack", state.slack),
        ):
            self._add(f"trace.{name}", value.tolist())
        self._add("trace.gradient", gradient.tolist())
        self._add("trace.gauge", gauge(self._relaxed, self._taught).tolist())
        self._add("trace.loss", [each.loss for each in scores])
        self._add("trace.accuracy", [each.accuracy for each in scores])
        self._add(
            "trace.error",
            [equivariance_error(self._relaxed, at, self._few) for at in (state.gamma, zero)],
        )
        self._last = scores
        return True

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything recorded so far, by name."""
        found = {
            name: np.array(rows, dtype=np.int64 if name.endswith("step") else np.float64)
            for name, rows in self._rows.items()
        }
        return found | {"path.share": self._shares.double().numpy()}

    def end(self, gamma: Tensor) -> dict[str, Any]:
        """The last row in words, with what is measured once."""
        last = {name: rows[-1] for name, rows in self._rows.items()}
        names = ("train_on", "train_off", "on", "off")
        return {
            **{name: asdict(each) for name, each in zip(names, self._last, strict=True)},
            "error_on": last["trace.error"][0],
            "error_off": last["trace.error"][1],
            **{name: last[f"trace.{name}"] for name in ("gamma", "multiplier", "slack", "gauge")},
            "asymmetry": self._relaxed.asymmetry(gamma).tolist(),
        }

    def _add(self, name: str, value: Any) -> None:
        self._rows.setdefault(name, []).append(value)


def extent(gamma: np.ndarray) -> tuple[float, float]:
    """The ends of an axis that shows 0, 1 and wherever gamma `[steps, layers]` went, with a
    margin.
    """
    low, high = min(0.0, float(gamma.min())), max(1.0, float(gamma.max()))
    margin = 0.1 * (high - low)
    return low - margin, high + margin
