"""How alike two networks represent the same inputs: centred kernel alignment, and the plain cosine
of their vectors.

With X `[n, p]` and Y `[n, q]` what both compute on the same n inputs, K = X X^T, L = Y Y^T and H =
I - 11^T / n,

    CKA(X, Y) = HSIC(K, L) / (HSIC(K, K) HSIC(L, L))^1/2,      HSIC(K, L) = tr(K H L H) / (n - 1)^2

(Kornblith et al. 2019, arXiv 1905.00414, linear kernel). Orthogonal maps and scales of X or Y do
not change it; other invertible maps do. With few inputs it is biased upwards; `unbiased` takes the
estimator of Song et al. 2012 (Journal of Machine Learning Research 13), as Nguyen et al. 2021
(arXiv 2010.15327) do: with K' and L' the kernels without their diagonals,

    HSIC_1(K, L) = [tr(K' L') + 1^T K' 1 1^T L' 1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1^T K' L' 1] / (n
    (n - 3)).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lmc_core.errors import BadInput

FEWEST = 4  # inputs that the unbiased estimator needs


def linear_cka(x: Tensor, y: Tensor, unbiased: bool = False) -> float:
    """CKA of two sets of vectors; NaN where either does not vary.

    Args:
        x: `[n, p]`.
        y: `[n, q]`, on the same inputs.
        unbiased: take the unbiased estimator of each HSIC, which may be below 0.

    Raises:
        BadInput: for unequal or too few inputs.
    """
    return float(cka_matrix([x], [y], unbiased)[0, 0])


def cka_matrix(xs: Sequence[Tensor], ys: Sequence[Tensor], unbiased: bool = False) -> Tensor:
    """CKA of every one of `xs` with every one of `ys`, float64 `[len(xs), len(ys)]`; for the
    arguments see `linear_cka`.
    """
    counts = {len(each) for each in (*xs, *ys)}
    if len(counts) != 1 or min(counts) < FEWEST:
        raise BadInput(
            f"CKA compares vectors of the same inputs, {FEWEST} at least; {sorted(counts)} came."
        )
    left, right = ([_kernel(each, unbiased) for each in side] for side in (xs, ys))
    lengths = [[_hsic(kernel, kernel, unbiased) for kernel in side] for side in (left, right)]
    found = torch.tensor(
        [[_hsic(k, m, unbiased) for m in right] for k in left], dtype=torch.float64
    )
    one, two = (torch.tensor(each, dtype=torch.float64) for each in lengths)
    scale = one.clamp_min(0).sqrt()[:, None] * two.clamp_min(0).sqrt()
    return torch.where(scale > 0, found / scale, torch.nan)


def mean_cosine(x: Tensor, y: Tensor) -> float:
    """Mean over inputs of the cosine of both vectors, `[n, p]` each; unlike CKA it depends on the
    coordinates.
    """
    return float(torch.nn.functional.cosine_similarity(x.double(), y.double(), dim=1).mean())


def _kernel(x: Tensor, unbiased: bool) -> Tensor:
    """K, centred or without its diagonal, `[n, n]`.

    The mean is taken off first: no estimator depends on it, and large means would cost digits.
    """
    x = x.double() - x.double().mean(0)
    kernel = x @ x.mT
    return kernel.fill_diagonal_(0) if unbiased else kernel


def _hsic(k: Tensor, m: Tensor, unbiased: bool) -> float:
    n = len(k)
    if not unbiased:
        return float((k * m).sum()) / (n - 1) ** 2
    one, two = k.sum(1), m.sum(1)
    inner = (k * m).sum() + one.sum() * two.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ two)
    return float(inner) / (n * (n - 3))
