"""Made-up trainings towards equivariance, of the shape that `equivariance.run.compute` returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmc_core.equivariance.figures.data import Run

LAYERS = ("first", "second", "head")
CLASSES, SIDE, RECORDED, SHARES = 10, 4, 13, 5


def facts(**own: Any) -> dict[str, Any]:
    """What a finished result says."""
    layers = list(own.pop("layers", LAYERS))
    count = len(layers)
    score = {"loss": 0.4, "stderr": 0.05, "accuracy": 0.9}
    return {
        "what": "equivariance", "source": "digits", "kind": "orbit", "group": "C4", "network": "perceptron", "form": "equality",
        "primal_rate": 0.02, "dual_rate": 0.02, "augmented": 2.0, "price": 0.0, "steps": 600, "rate": 0.01, "decay": 1.0,
        "batch": 0, "examples": 400, "split": "validation", "seed": 0, "key": "0" * 64,
        "models": ["Perceptron, C4 on digits (orbit)"],
        "network_label": "Perceptron", "source_label": "Digits, 8x8", "kind_label": "Orbit: each in every " "position",
        "group_labels": ["0°", "90°", "180°", "270°"], "group_sentence": "quarter turns", "acts": "image", "unit": "nats",
        "task": "digits", "classes": {}, "layers": layers, "dimensions": [[10, 40]] * count, "parameters": 1234,
        "trained_on": 1600, "held_out": 1600, "on": score, "off": {**score, "loss": 1.9, "accuracy": 0.3},
        "train_on": score, "train_off": score, "error_on": 0.2, "error_off": 2e-7, "gamma": [0.1] * count,
        "asymmetry": [0.2] * count, "plane_layers": [0, min(1, count - 1)], "plane_examples": 100,
        "date": "2026-11-21T10:00:00+00:00", "versions": {"lmc": "0.1.0", "torch": "2.9.0"},
        **own, "method": own.get("form", "equality"),
    }  # fmt: skip


def arrays(said: dict[str, Any], until: int | None = None) -> dict[str, np.ndarray]:
    """What a run has recorded, all of it or up to a step; every entry differs from every other."""
    count, order = len(said["layers"]), len(said["group_labels"])
    steps = np.linspace(0, said["steps"], RECORDED).round().astype(np.int64)
    time = steps[:, None] / said["steps"] + 0.01 * np.arange(count)[None]
    gamma = (
        np.exp(-3 * time)
        if said["form"] in ("equality", "resilient")
        else np.full(time.shape, float(said["form"] == "free"))
    )
    random = np.random.default_rng(0)
    found: dict[str, Any] = {
        "trace.step": steps, "trace.gamma": gamma, "trace.multiplier": 0.2 * time, "trace.slack": 0.3 * time,
        "trace.gauge": 0.1 + time, "trace.loss": 1 + time[:, :1] + 0.1 * np.arange(4)[None],
        "trace.accuracy": 0.5 + 0.1 * np.arange(4)[None] + 0 * time[:, :1], "trace.error": np.tile([0.5, 2e-7], (RECORDED, 1)),
        "path.step": np.array([0, said["steps"] // 2, said["steps"]]), "path.share": np.linspace(0, 1, SHARES),
    }  # fmt: skip
    for name, start in (("loss", 2.0), ("stderr", 0.05), ("accuracy", 0.2)):
        found[f"path.{name}"] = (
            start + 0.01 * np.arange(3)[:, None] + 0.1 * start * np.arange(SHARES)[None]
        )
    if until is not None:
        cut, paths = int((steps <= until).sum()), int((found["path.step"] <= until).sum())
        long = {"trace": cut, "path": paths}
        return {
            name: v if name == "path.share" else v[: long[name.split(".")[0]]]
            for name, v in found.items()
        }
    values = np.linspace(-0.1, 1.1, 7)
    found |= {"plane.value": values, "plane.loss": 1 + values[:, None] + 10 * (2 + values[None])}
    size = SIDE * SIDE * (int(said["group"][1:]) if said["acts"] == "set" else 1)
    shares = random.dirichlet(np.ones(CLASSES), (2, order))
    return found | {
        "strip.inputs": random.normal(size=(2, order, size)), "strip.labels": np.array([3, 8]), "strip.on": shares,
        "strip.off": np.repeat(shares[:, :1], order, axis=1),
    }  # fmt: skip


def copies() -> dict[str, Any]:
    """What a result says of the moved copies."""
    curve = {"stderr": [0.02] * 3, "barrier_stderr": 0.03}
    score = {"stderr": 0.05, "accuracy": 0.8}
    return {
        "element": "90°", "lam": [0.0, 0.5, 1.0], "group_is_projection": 3e-16, "function_error": 2e-15,
        "agree": {"first": 0.25, "second": 0.5},
        "curves": {
            "naive": {**curve, "loss": [0.4, 2.4, 0.4], "barrier": 2.0},
            "group": {**curve, "loss": [0.4, 1.0, 0.4], "barrier": 0.6},
            "matched": {**curve, "loss": [0.4, 0.5, 0.4], "barrier": 0.1},
            "activation": {**curve, "loss": [0.4, 0.45, 0.4], "barrier": 0.05},
        },
        "merges": {
            "network": {**score, "loss": 0.4}, "naive": {**score, "loss": 2.9}, "group": {**score, "loss": 1.9},
            "matched": {**score, "loss": 0.5}, "activation": {**score, "loss": 0.45}, "projection": {**score, "loss": 1.9},
        },
    }  # fmt: skip


def run(label: str = "Run", until: int | None = None, **own: Any) -> Run:
    """A run; with `until` an unfinished one, which has neither what is measured at the end nor the
    losses of the end.
    """
    said = facts(**own)
    recorded = arrays(said, until)
    if until is not None:
        ends = (
            "on",
            "off",
            "train_on",
            "train_off",
            "error_on",
            "error_off",
            "gamma",
            "asymmetry",
            "plane_layers",
            "versions",
        )
        said = {name: value for name, value in said.items() if name not in ends} | {"step": until}
    return Run(label, said, recorded)


def named(figure, name: str, **meta) -> list:
    """The traces of a name whose meta holds what is given."""
    return [
        t
        for t in figure.data
        if t.name == name and all((t.meta or {}).get(k) == v for k, v in meta.items())
    ]


def drawn(figure, **meta) -> list:
    """The traces whose meta holds what is given."""
    return [
        t
        for t in figure.data
        if isinstance(t.meta, dict) and all(t.meta.get(k) == v for k, v in meta.items())
    ]


def texts(figure, name: str) -> list[str]:
    """The annotations of a name."""
    return [a.text for a in figure.layout.annotations if a.name == name]
