"""A small result of an alignment with its arrays, of the shape that
`lmc_core.runs.kinds.alignment.compute` returns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LAYERS = ["input", "blocks.0", "blocks.1", "output"]
SIZES = {"residual": 6, "heads": 4, "query-key": 4, "value-output": 3, "units": 30}
CLASSES = {
    "residual": "orthogonal", "heads": "permutation", "query-key": "rotary", "value-output": "invertible",
    "units": "permutation",
}  # fmt: skip
HEADS = [2, 1, 3, 0]  # which head of B came to each place
MODELS = ["vit-fashion-s0", "vit-fashion-s1"]


def entry(kind: str, layer: int | None) -> dict[str, Any]:
    inner = kind in ("query-key", "value-output")
    copies = 4 if inner else 1
    mixes = CLASSES[kind] not in ("permutation",)
    return {
        "name": kind if layer is None else f"{kind}.{layer}",
        "kind": kind,
        "class": CLASSES[kind],
        "largest": CLASSES[kind],
        "size": SIZES[kind],
        "copies": copies,
        "within": f"heads.{layer}" if inner else None,
        "layers": LAYERS if layer is None else [f"blocks.{layer}"],
        "edge": 1,
        "before": [0.01 * (copy + 1) for copy in range(copies)],
        "after": [0.3 + 0.1 * (layer or 0) + 0.01 * copy for copy in range(copies)],
        "by_layer": {name: [0.0, 0.2 + 0.1 * k] for k, name in enumerate(LAYERS)}
        if layer is None
        else {},
        "owned": copies * SIZES[kind],
        "distance": [1.2] * copies,
        "moved": None if mixes else [3 if kind == "heads" else SIZES[kind]],
        "flipped": None if mixes else [0],
        "angle": [80.0] * copies if mixes else None,
        "condition": [3.5 if kind == "value-output" else 1.0] * copies,
    }


def alignment_result() -> dict[str, Any]:
    layered = [
        entry(kind, layer)
        for layer in range(2)
        for kind in ("heads", "query-key", "value-output", "units")
    ]
    return {
        "key": "ab" * 32,
        "what": "alignment",
        "models": MODELS,
        "task": "fashion-mnist",
        "split": "test",
        "examples": 64,
        "method": "weight",
        "classes": CLASSES,
        "parameters": 455_050,
        "wider": None,
        "function_error": 2.4e-7,
        "spaces": [entry("residual", None), *layered],
        "streams": {
            "residual": {
                "layers": LAYERS[1:],
                "tokens": [64, 64, 16],
                "before": [0.02, -0.05, 0.01],
                "after": [0.75, 0.55, 0.6],
                "cka": [0.98, 0.8, 0.9],
                "unbiased": [0.97, 0.78, None],
            }
        },
        "versions": {"lmc": "0.1.0", "torch": "2.9.0"},
        "date": "2026-11-21T10:00:00+00:00",
    }


def alignment_arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for each in alignment_result()["spaces"]:
        name, n, copies = each["name"], each["size"], each["copies"]
        noise = generator.uniform(-0.1, 0.1, (2, copies, n, n))
        arrays[f"{name}/before"] = noise[0].astype(np.float16)
        arrays[f"{name}/after"] = (noise[1] + each["after"][0] * np.eye(n)).astype(np.float16)
        if each["moved"] is not None:
            order = HEADS if each["kind"] == "heads" else list(np.roll(np.arange(n), 1))
            arrays[f"{name}/indices"] = np.array(order, dtype=np.int32)
        else:
            arrays[f"{name}/angles"] = np.sort(generator.uniform(-180, 180, (copies, n))).astype(
                np.float32
            )
            arrays[f"{name}/singular"] = (
                np.linspace(each["condition"][0], 1, n)[None].repeat(copies, 0).astype(np.float32)
            )
        if each["class"] == "rotary":
            arrays[f"{name}/phases"] = generator.uniform(-180, 180, (copies, n // 2)).astype(
                np.float32
            )
            arrays[f"{name}/stretches"] = generator.uniform(0.5, 2, (copies, n // 2)).astype(
                np.float32
            )
    matrix = np.array(
        [[0.98, 0.7, np.nan], [0.6, 0.8, np.nan], [np.nan, np.nan, 0.9]], dtype=np.float32
    )
    return arrays | {"residual/cka": matrix}
