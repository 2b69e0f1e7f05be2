"""A made-up plane with three basins, and curves between the models in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmc_core.figures.landscape_data import Landscape

LARGEST = {"residual": "orthogonal", "units": "permutation"}
CORNERS = {"a": ("A", 0.0, 0.0), "aligned": ("B aligned", 80.0, 0.0), "b": ("B", 40.0, 90.0)}
SHARED: dict[str, Any] = {
    "models": ["vit-fashion-s0", "vit-fashion-s1"], "references": ["zoo:vit-fashion-s0", "zoo:vit-fashion-s1"],
    "task": "fashion-mnist", "split": "test", "examples": 500, "unit": "nats", "score": "accuracy", "method": "weight",
    "classes": LARGEST, "largest": LARGEST, "settings": {}, "seed": 0, "parameters": 455_050, "length": None,
    "function_error": 3.7e-7, "versions": {"lmc": "0.1.0"}, "date": "2026-11-21T12:00:00+00:00", "cached": True,
}  # fmt: skip


def facts(kind: str = "pair", n: int = 9, **changes: Any) -> dict[str, Any]:
    """Of a plane of some kind."""
    roles = {
        "pair": ["a", "aligned", "b"],
        "random": ["a"],
        "three": ["a", "aligned", "b"],
        "bend": ["a", "aligned", "b"],
    }[kind]
    points = []
    for role in roles:
        label, u, v = CORNERS[role]
        name = "vit-fashion-s0" if role == "a" else "vit-fashion-s1"
        points.append(
            {
                "label": label,
                "name": name,
                "role": role,
                "u": u,
                "v": v,
                "loss": 0.3,
                "stderr": 0.02,
                "score": 0.9,
            }
        )
    if kind == "bend":
        points[2] |= {"label": "bend", "role": "bend", "name": "bend"}
    if kind == "three":
        for point, label in zip(points, ("A", "B aligned", "C aligned"), strict=True):
            point |= {"label": label}
    lowest = {"u": 0.0, "v": 0.0, "loss": 0.28, "stderr": 0.02, "score": 0.91}
    models = SHARED["models"] + (["vit-fashion-s2"] if kind == "three" else [])
    own = {
        "what": "plane",
        "key": "ab" * 32,
        "kind": kind,
        "resolution": n,
        "span": 1.0 if kind == "random" else None,
    }
    rest = {
        "points": points,
        "clip": float(np.log(10)),
        "lowest": lowest,
        "seconds": {"align": 9.9, "evaluate": 60.0},
    }
    return {**SHARED, **own, **rest, "models": models, **changes}


def arrays(n: int = 9, measured: int | None = None) -> dict[str, np.ndarray]:
    """Three basins on a plateau of 5 nats; where `measured` is given, only every so-many-th point
    along both axes.
    """
    u, v = np.linspace(-30, 110, n), np.linspace(-25, 115, n)
    away = [(u[None, :] - x) ** 2 + (v[:, None] - y) ** 2 for _, x, y in CORNERS.values()]
    loss = 0.3 + 4.7 * (1 - np.exp(-np.min(away, 0) / 900))
    found = {"loss": loss, "stderr": np.full_like(loss, 0.02), "correct": np.exp(-loss / 3)}
    if measured is not None:
        keep = np.zeros_like(loss, dtype=bool)
        keep[::measured, ::measured] = True
        found = {name: np.where(keep, values, np.nan) for name, values in found.items()}
    return {"u": u, "v": v, **found}


def scene(kind: str = "pair", n: int = 9, measured: int | None = None, **changes: Any) -> Landscape:
    """A plane, whole or in part."""
    return Landscape.of(facts(kind, n, **changes), arrays(n, measured))


def curves() -> dict[str, Any]:
    """The result of curves between the same models."""
    lam = np.linspace(0, 1, 5)
    paths = []
    for name, top in (
        ("straight", 1.8),
        ("straight-aligned", 0.5),
        ("bend", 0.2),
        ("bend-aligned", 0.05),
    ):
        excess = top * np.array([0, 0.6, 1, 0.6, 0])
        curved = name.startswith("bend")
        control = {
            "u": 20.0 if name == "bend" else 40.0,
            "v": 46.0 if name == "bend" else 0.0,
            "away": 6.2,
        }
        training = {
            "steps": 300,
            "batch": 64,
            "examples": 7488,
            "held_out": 512,
            "history": [[0, 1.0, 1.0]],
        }
        paths.append(
            {
                "name": name, "lam": lam.tolist(), "loss": (0.3 + excess).tolist(), "loss_stderr": [0.02] * 5,
                "chord": [0.3] * 5, "excess": excess.tolist(), "excess_stderr": [0.02] * 5,
                "accuracy": (0.9 - 0.3 * excess).tolist(), "barrier": top, "barrier_stderr": 0.02, "barrier_lam": 0.5,
                "mean_loss": 0.3 + 0.5 * top, "training": training if curved else None, "control": control if curved else None,
            }
        )  # fmt: skip
    own = {"what": "bend", "key": "cd" * 32, "steps": 300, "paths": paths}
    return {**SHARED, **own, "seconds": {"align": 9.9, "learn": 40.0, "evaluate": 5.0}}
