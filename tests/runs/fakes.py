"""A quick computation with the shape of a real one; it leaves a file for every time it ran, so runs
can be counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmc_core.errors import BadInput
from lmc_core.progress import Progress, offer_pause
from lmc_core.runs.computation import COMPUTATIONS, Computation


@dataclass(frozen=True)
class FakeRequest:
    name: str
    folder: str  # where the computation counts itself
    seconds: float = 0.0
    # or "input", "crash", "deaf": one long step without a report, "turns": pauses twice where it may
    mode: str = "ok"
    device: str = "cpu"
    what: str = "fake"
    learn: int | None = None

    model_names = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> FakeRequest:
        return cls(**content)

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def runs(self) -> int:
        return len(list(Path(self.folder).glob(f"{self.name}-*.ran")))


def compute(
    request: FakeRequest, report: Progress, refresh: bool = False
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    (Path(request.folder) / f"{request.name}-{os.getpid()}-{time.time_ns()}.ran").touch()
    if request.mode == "input":
        raise BadInput("Expected an even number; came 3.")
    if request.mode == "crash":
        raise ZeroDivisionError("by nothing")
    if request.mode == "deaf":
        time.sleep(request.seconds)
    else:
        end = time.monotonic() + request.seconds
        while (left := end - time.monotonic()) > 0:
            report(1 - left / request.seconds, "turning the crank")
            time.sleep(0.02)
            if request.mode == "turns" and request.runs() < 3:
                offer_pause(report)
    report(1.0, "turned")
    losses = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {"key": request.key, "loss": [np.float32(0.5), 2.0], "cached": False}, {"losses": losses}


def register() -> None:
    COMPUTATIONS.add(Computation("fake", FakeRequest, compute, early=True), replace=True)
