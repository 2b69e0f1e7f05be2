"""Small results of `runs.kinds.barrier.compute` between models of unequal widths, made by hand."""

from __future__ import annotations

from typing import Any

LAM = [0.0, 0.25, 0.5, 0.75, 1.0]
PLACES = {
    # three narrow units in seven places: one alone, one twice, one three times, one place that no
    # one reads
    "units.0": {"owner": [1, 2, 0, 2, -1, 1, 2], "shares": [0.7, 0.2, 1.0, 0.5, 0.0, 0.3, 0.3]},
    "heads.1": {"owner": [0, 1, 0], "shares": [0.4, 1.0, 0.6]},
}


def widths_result(
    method: str = "weight",
    barrier: float = 0.5,
    models: tuple[str, str] = ("thin", "thick"),
    steps: int | None = None,
) -> dict[str, Any]:
    """A result of one pair; matched ones have places."""
    matched = method != "none"
    return {
        "key": f"{method}{'-'.join(models)}", "what": "barrier", "models": list(models), "task": "fashion-mnist",
        "unit": "nats", "split": "test", "examples": 500, "method": method, "settings": {"steps": steps} if steps else {},
        "classes": {"units": "permutation", "residual": "orthogonal"} if matched else {}, "largest": {}, "lam": LAM,
        "loss": [0.3, 0.3 + barrier / 2, 0.3 + barrier, 0.3 + barrier / 2, 0.3], "loss_stderr": [0.01] * 5, "chord": [0.3] * 5,
        "excess": [0.0, barrier / 2, barrier, barrier / 2, 0.0], "excess_stderr": [0.0, 0.01, 0.02, 0.01, 0.0],
        "score": "accuracy", "accuracy": [0.9, 0.6, 0.4, 0.6, 0.9], "barrier": barrier, "barrier_stderr": 0.02,
        "barrier_lam": 0.5, "midpoint_loss": 0.3 + barrier, "function_error": 4e-7 if matched else None, "objective": [],
        "places": PLACES if matched else {}, "seconds": {"align": 1.0, "evaluate": 2.0}, "parameters": 100,
        "versions": {"lmc": "0.1", "torch": "2"}, "date": "2026-11-20T00:00:00",
    }  # fmt: skip
