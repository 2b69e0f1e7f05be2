"""CKA against sums written out, its invariances, and what it is not invariant to."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from lmc_core.analysis.cka import cka_matrix, linear_cka, mean_cosine
from lmc_core.errors import BadInput


def draw(n: int, p: int, seed: int) -> Tensor:
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(size: int, seed: int) -> Tensor:
    return torch.linalg.qr(draw(size, size, seed))[0]


def slow_hsic(x: Tensor, y: Tensor) -> float:
    """tr(K H L H) / (n - 1)^2, entry by entry."""
    n = len(x)
    k, m = ([[float(each[i] @ each[j]) for j in range(n)] for i in range(n)] for each in (x, y))

    def centred(kernel: list[list[float]], i: int, j: int) -> float:
        column = sum(kernel[a][j] for a in range(n)) / n
        whole = sum(map(sum, kernel)) / n**2
        return kernel[i][j] - sum(kernel[i]) / n - column + whole

    return (
        sum(centred(k, i, j) * centred(m, j, i) for i in range(n) for j in range(n)) / (n - 1) ** 2
    )


def slow_unbiased(x: Tensor, y: Tensor) -> float:
    """The U-statistic of Song et al. 2012: the mean over all ordered sets of four different
    inputs.
    """
    k, m = x @ x.mT, y @ y.mT
    total, count = 0.0, 0
    for i, j, q, r in permutations(range(len(x)), 4):
        total += float(k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]))
        count += 1
    return total / count


def test_linear_cka_is_the_sum_written_out() -> None:
    x, y = draw(9, 4, 0) + 3, draw(9, 6, 1) - 1
    expected = slow_hsic(x, y) / (slow_hsic(x, x) * slow_hsic(y, y)) ** 0.5
    assert linear_cka(x, y) == pytest.approx(expected, rel=1e-10)


def test_the_unbiased_one_is_the_mean_over_sets_of_four() -> None:
    x = draw(8, 3, 0)
    y = x @ draw(3, 5, 1) + 0.3 * draw(8, 5, 2) + 2
    expected = slow_unbiased(x, y) / (slow_unbiased(x, x) * slow_unbiased(y, y)) ** 0.5
    assert linear_cka(x, y, unbiased=True) == pytest.approx(expected, rel=1e-9)
    assert linear_cka(x, y) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("unbiased", [False, True])
def test_rotations_scales_and_shifts_do_not_matter(unbiased: bool) -> None:
    x, y = draw(40, 7, 0), draw(40, 7, 1) + draw(40, 7, 0)
    before = linear_cka(x, y, unbiased)
    assert linear_cka(
        2.5 * x @ rotation(7, 2) + 4, y @ rotation(7, 3) - 1, unbiased
    ) == pytest.approx(before, abs=1e-12)
    assert linear_cka(x, x @ rotation(7, 4), unbiased) == pytest.approx(1.0, abs=1e-12)


def test_other_invertible_maps_do() -> None:
    x = draw(40, 7, 0)
    stretch = torch.diag(torch.tensor([5.0, 1, 1, 1, 1, 1, 0.2], dtype=torch.float64))
    assert linear_cka(x, x @ stretch) < 0.9


def test_few_inputs_bias_one_upwards_and_not_the_other() -> None:
    found = [
        [linear_cka(draw(20, 60, k), draw(20, 60, 100 + k), unbiased) for k in range(20)]
        for unbiased in (False, True)
    ]
    assert sum(found[0]) / 20 > 0.6 and abs(sum(found[1]) / 20) < 0.05


def test_all_pairs_are_those_one_by_one() -> None:
    xs, ys = [draw(12, 3, k) for k in range(3)], [draw(12, 5, 10 + k) for k in range(2)]
    found = cka_matrix(xs, ys)
    assert found.shape == (3, 2)
    assert found[2, 1] == pytest.approx(linear_cka(xs[2], ys[1])) and found[2, 1] != pytest.approx(
        found[1, 1]
    )


def test_what_does_not_vary_has_no_cka() -> None:
    assert torch.isnan(cka_matrix([torch.ones(6, 2)], [draw(6, 2, 0)])).all()


@pytest.mark.parametrize(("one", "other"), [(5, 6), (3, 3)])
def test_unequal_or_too_few_inputs_are_refused(one: int, other: int) -> None:
    with pytest.raises(BadInput, match="same inputs, 4 at least"):
        linear_cka(draw(one, 2, 0), draw(other, 2, 1))


def test_the_cosine_of_vectors_depends_on_coordinates() -> None:
    x = draw(30, 6, 0)
    assert mean_cosine(x, 3 * x) == pytest.approx(1.0)
    assert abs(mean_cosine(x, x @ rotation(6, 1))) < 0.6
    assert mean_cosine(
        torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    ) == pytest.approx((0.5**0.5 + 1) / 2)


def test_the_cosine_is_the_mean_over_inputs_not_over_coordinates() -> None:
    x, y = draw(7, 3, 0), draw(7, 3, 1)
    each = [
        float(a @ b) / (float(a @ a) * float(b @ b)) ** 0.5
        for a, b in zip(x.double(), y.double(), strict=True)
    ]
    assert mean_cosine(x, y) == pytest.approx(sum(each) / 7)
