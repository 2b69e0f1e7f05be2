"""Orthogonal factors by decomposition, by inverses and by products alone, by size and precision.

    python benchmarks/polar.py --sizes 256 512 1024 2048

The matrices are what a residual stream sees: a planted rotation with noise, of condition number 1e4
(``planted``), and Gaussian ones (``random``).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from lmc_core.matching.polar import iterate
from lmc_core.symmetry.arithmetic import refined


def by_decomposition(matrix: Tensor) -> Tensor:
    """U V^T."""
    u, _, vt = torch.linalg.svd(matrix)
    return u @ vt


def by_products(matrix: Tensor, most: int = 60) -> Tensor:
    """Newton and Schulz from M / |M|_2, until nothing changes; no inverses."""
    x = matrix / torch.linalg.matrix_norm(matrix, 2)
    for _ in range(most):
        x, before = refined(x), x
        if float((x - before).abs().max()) < 1e-3:
            return refined(refined(x))
    return x


def by_gram(matrix: Tensor) -> Tensor:
    """M (M^T M)^-1/2 by the eigenvectors of M^T M, then refined: half the digits at first."""
    values, vectors = torch.linalg.eigh(matrix.mT @ matrix)
    scale = values.clamp_min(torch.finfo(matrix.dtype).tiny).rsqrt()
    return refined(refined(matrix @ (vectors * scale) @ vectors.mT))


def planted(size: int, generator: torch.Generator) -> Tensor:
    """A rotation times a positive matrix of condition number 1e4."""
    q = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    p = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return q @ (p * torch.logspace(0, -4, size, dtype=torch.float64)) @ p.mT


def main() -> None:
    """Print one row for each size, precision and kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    ways: dict[str, Callable[[Tensor], Tensor | None]] = {
        "decomposition": by_decomposition,
        "inverses": iterate,
        "products": by_products,
        "gram": by_gram,
    }
    print(f"{'size':>5} {'type':8} {'kind':8} {'way':14} {'seconds':>8} {'apart':>8}")
    for size in options.sizes:
        generator = torch.Generator().manual_seed(size)
        both = {
            "planted": planted(size, generator),
            "random": torch.randn(size, size, generator=generator, dtype=torch.float64),
        }
        for kind, exact in both.items():
            expected = by_decomposition(exact)
            for dtype in (torch.float64, torch.float32):
                matrix = exact.to(options.device, dtype)
                for way, find in ways.items():
                    begin = time.process_time() if options.device == "cpu" else time.perf_counter()
                    found = find(matrix)
                    if found is not None:
                        float(found.sum())  # waits for a GPU
                    now = time.process_time() if options.device == "cpu" else time.perf_counter()
                    apart = (
                        float("nan")
                        if found is None
                        else float((found.double().cpu() - expected).abs().max())
                    )
                    name = str(dtype).removeprefix("torch.")
                    print(
                        f"{size:5} {name:8} {kind:8} {way:14} {now - begin:8.3f} {apart:8.1e}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
