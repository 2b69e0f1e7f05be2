"""A small result of `runs.kinds.orders.compute`, made by hand: two layers of three experts."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

LAM = [0.0, 0.25, 0.5, 0.75, 1.0]
ORDERS = [list(order) for order in permutations(range(3))]


def curves(heights: list[float]) -> dict[str, Any]:
    loss = [[1.0, 1.0 + h / 2, 1.0 + h, 1.0 + h / 2, 1.0] for h in heights]
    count = len(heights)
    return {
        "loss": loss, "loss_stderr": [[0.01] * 5] * count, "barrier": heights, "barrier_stderr": [0.02] * count,
        "barrier_lam": [0.5] * count,
    }  # fmt: skip


def by_activations() -> dict[str, Any]:
    """The same, aligned by activation matching, which has an order of its own."""
    result = experts_result()
    for fan, index in zip(result["fans"], (1, 1, 3), strict=True):
        fan["named"]["found"] = index
    for mixture in result["mixtures"]:
        mixture["orders"]["found"] = ORDERS[1]
    matched = {key: value[0] for key, value in curves([0.55]).items()}
    result["routing"]["found"] = result["routing"]["exact"]
    return {**result, "method": "activation", "matched": matched}


def experts_result() -> dict[str, Any]:
    """Router and Gram agree with exact in layer 0, and not in layer 1."""
    first = {"naive": 0, "router": 2, "gram": 2, "exact": 2, "best": 2, "worst": 5}
    second = {"naive": 0, "router": 1, "gram": 3, "exact": 4, "best": 3, "worst": 0}
    rng = np.random.default_rng(0)
    mixtures = [
        {"name": f"experts.{layer}", "layer": layer, "groups": 1,
         "costs": {way: rng.uniform(0.2, 1.2, (3, 3)).tolist() for way in ("router", "gram", "exact")},
         "orders": {way: ORDERS[named[way]] for way in ("naive", "router", "gram", "exact")}}
        for layer, named in enumerate((first, second))
    ]  # fmt: skip
    load = rng.uniform(0.5, 1.0, (5, 2, 3))
    load = load / load.sum(2, keepdims=True)
    followed = {
        "lam": LAM, "mixtures": ["experts.0", "experts.1"], "active": 2, "chance": 0.5, "load": load.tolist(),
        "with_a": [[1.0, 1.0], [0.9, 0.8], [0.8, 0.6], [0.7, 0.5], [0.6, 0.4]],
        "with_b": [[0.6, 0.4], [0.7, 0.5], [0.8, 0.6], [0.9, 0.8], [1.0, 1.0]],
    }  # fmt: skip
    every = {"naive": 0, "router": 1, "gram": 1, "exact": 1, "best": 2, "worst": 3}
    joint = [[ORDERS[i], ORDERS[j]] for i, j in ((0, 0), (2, 4), (2, 3), (5, 0))]
    fans = [
        {"mixture": "experts.0", "orders": [[o] for o in ORDERS], "named": first, "there": 6,
         **curves([0.5, 0.6, 0.2, 0.7, 0.8, 0.9])},
        {"mixture": "experts.1", "orders": [[o] for o in ORDERS], "named": second, "there": 6,
         **curves([0.9, 0.6, 0.7, 0.1, 0.2, 0.8])},
        {"mixture": "all", "orders": joint, "named": every, "there": 36, **curves([1.0, 0.2, 0.15, 1.2])},
    ]  # fmt: skip
    return {
        "key": "0" * 64, "models": ["one", "two"], "task": "plays", "split": "test", "examples": 16, "unit": "nats per token",
        "classes": {"experts": "permutation"}, "function_error": 1e-6, "lam": LAM, "chord": [1.0] * 5, "mixtures": mixtures,
        "plain": {key: value[0] for key, value in curves([2.0]).items()}, "fans": fans, "date": "2026-11-20T00:00:00",
        "routing": {"examples": 16} | {way: followed for way in ("naive", "router", "gram", "exact")},
        "versions": {"lmc": "0.1"},
    }  # fmt: skip
