"""Means over pairs of models: the interval holds for new models and examples, that of independent
pairs does not.
"""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr, student
from lmc_core.intervals.pairs import over_pairs

PAIRS = list(combinations("abcd", 2))
RUNS = 2000


def drawn(models: float, pairs: float, seed: int) -> Tensor:
    """b_ij = e_i + e_j + e_ij around zero for four models, `[runs, pairs]`."""
    generator = torch.Generator().manual_seed(seed)
    own = models * torch.randn(RUNS, 4, generator=generator, dtype=torch.float64)
    ends = torch.tensor([["abcd".index(x) for x in pair] for pair in PAIRS])
    return own[:, ends].sum(2) + pairs * torch.randn(
        RUNS, len(PAIRS), generator=generator, dtype=torch.float64
    )


def share(inside: list[bool]) -> float:
    return sum(inside) / len(inside)


@pytest.mark.parametrize(
    ("models", "pairs", "expected"),
    [(1.0, 0.0, 0.95), (1.0, 0.5, 0.95), (1.0, 1.0, 0.96), (0.0, 1.0, 0.985)],
)
def test_the_interval_over_models_holds(models: float, pairs: float, expected: float) -> None:
    """Exact where only models matter; where pairs differ by themselves it is too wide, never too
    narrow.
    """
    found = [over_pairs(PAIRS, row) for row in drawn(models, pairs, 0).tolist()]
    assert share([abs(each.value) <= (each.half or 0) for each in found]) == pytest.approx(
        expected, abs=0.012
    )
    assert all(each.freedom == pytest.approx(3) and each.over_examples is None for each in found)


def test_two_errors_of_independent_pairs_hold_two_times_in_three() -> None:
    values = drawn(1.0, 1.0, 1)
    half = 2 * values.std(1) / len(PAIRS) ** 0.5
    assert float((values.mean(1).abs() <= half).double().mean()) == pytest.approx(0.68, abs=0.03)


def test_the_jackknife_is_unbiased_for_models_and_never_too_small() -> None:
    for models, pairs, true in (
        (1.0, 0.0, 4 / 4),
        (0.0, 1.0, 3 * 2 / 12),
        (1.0, 1.0, 4 / 4 + 3 * 2 / 12),
    ):
        found = [
            over_pairs(PAIRS, row).over_models or 0.0 for row in drawn(models, pairs, 2).tolist()
        ]
        assert sum(each**2 for each in found) / RUNS == pytest.approx(true, rel=0.06)


@pytest.mark.parametrize(
    ("models", "common", "apart"), [(1.0, 1.0, 0.0), (0.3, 2.0, 0.5), (0.0, 1.0, 0.0)]
)
def test_the_interval_over_models_and_shared_examples_holds(
    models: float, common: float, apart: float
) -> None:
    """Forty examples move all pairs together by `common` and each by `apart`, in standard errors of
    a pair.
    """
    generator = torch.Generator().manual_seed(3)
    inside, alone = [], []
    for row in drawn(models, 0.2 * models, 4)[:1000]:
        shared = common * torch.randn(40, generator=generator, dtype=torch.float64)
        parts = 40**0.5 * (
            shared + apart * torch.randn(len(PAIRS), 40, generator=generator, dtype=torch.float64)
        )
        values = (row + parts.mean(1)).tolist()
        found = over_pairs(PAIRS, values, parts)
        inside.append(abs(found.value) <= (found.half or 0))
        over_models = over_pairs(PAIRS, values)
        alone.append(abs(over_models.value) <= (over_models.half or 0))
    assert 0.93 <= share(inside) <= 0.985
    # what all pairs share, no comparison of pairs shows
    assert share(alone) < share(inside) - (0.02 if models >= 1 else 0.2)


def test_against_the_formula_by_hand() -> None:
    """The pairs ab, ac, bc of three models: without a, bc is left, and so on."""
    found = over_pairs([("a", "b"), ("a", "c"), ("b", "c")], [1.0, 2.0, 6.0])
    assert found.value == 3.0 and (found.models, found.pairs) == (3, 3)
    assert found.over_models == pytest.approx(
        (2 / 3 * ((6 - 3) ** 2 + (2 - 3) ** 2 + (1 - 3) ** 2)) ** 0.5
    )
    assert found.half == pytest.approx(student(2) * (found.over_models or 0))
    parts = torch.rand(3, 10, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    groups = torch.arange(10) // 2
    both = over_pairs([("a", "b"), ("a", "c"), ("b", "c")], [1.0, 2.0, 6.0], parts, groups)
    assert both.over_examples == pytest.approx(float(stderr(parts.mean(0), groups)))
    assert both.stderr == pytest.approx(
        ((found.over_models or 0) ** 2 + (both.over_examples or 0) ** 2) ** 0.5
    )
    moved = over_pairs(
        [("a", "b"), ("a", "c"), ("b", "c")],
        [1.0, 2.0, 6.0],
        parts + torch.tensor([[1.0], [5.0], [9.0]]),
        groups,
    )
    assert moved.over_examples == pytest.approx(both.over_examples)


def test_one_pair_has_the_error_of_the_examples_alone() -> None:
    parts = torch.rand(1, 30, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    found = over_pairs([("a", "b")], [0.4], parts)
    assert found.over_models is None and found.stderr == found.over_examples == pytest.approx(
        float(stderr(parts[0]))
    )
    assert found.freedom == pytest.approx(29)
    assert over_pairs([("a", "b")], [0.4]).half is None


def test_pairs_that_all_share_a_model_have_no_jackknife() -> None:
    assert over_pairs([("a", "b"), ("a", "c")], [0.4, 0.5]).over_models is None


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="One value for each"):
        over_pairs([("a", "b")], [1.0, 2.0])
    with pytest.raises(BadInput, match="One value for each"):
        over_pairs([], [])
    with pytest.raises(BadInput, match="two different models"):
        over_pairs([("a", "a")], [1.0])
