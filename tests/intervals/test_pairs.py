"""Means over pairs of models: the interval holds for new models and examples, that of independent
pairs does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr, student
from lmc_core.intervals.pairs import components, join_freedom, over_pairs

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


Design = Sequence[tuple[int, ...]]
ALL, CHAIN = list(combinations(range(5), 2)), [(k, k + 1) for k in range(7)]
TRIPLES, APART = list(combinations(range(5), 3)), [(0, 1), (2, 3), (4, 5), (6, 7)]
STAR = [(0, k) for k in range(1, 7)]


def drawn_for(design: Design, models: float, pairs: float, seed: int) -> tuple[Tensor, float]:
    """Values of a design, `[runs, pairs]`, and the true variance of their mean; model 0 is 0 where
    all have it.
    """
    generator = torch.Generator().manual_seed(seed)
    count = 1 + max(model for pair in design for model in pair)
    inside = torch.tensor([[float(k in pair) for k in range(count)] for pair in design]).double()
    inside[:, 0] *= float(inside[:, 0].mean() < 1)
    own = models * torch.randn(RUNS, count, generator=generator, dtype=torch.float64)
    alone = torch.randn(RUNS, len(design), generator=generator, dtype=torch.float64)
    true = models**2 * float(inside.mean(0).square().sum()) + pairs**2 / len(design)
    return own @ inside.T + pairs * alone, true


@pytest.mark.parametrize(
    ("design", "low", "high", "independent"),
    [
        (ALL, 1.0, 1.3, 0.25),
        (CHAIN, 1.3, 2.0, 0.6),
        (TRIPLES, 1.0, 1.4, 0.15),
        (APART, 1.0, 1.0, 1.0),
        (STAR, 1.0, 1.0, 1.0),
    ],
)
@pytest.mark.parametrize("pairs", [0.0, 1.0])
def test_the_jackknife_of_any_design_is_never_too_small(
    design: Design, low: float, high: float, independent: float, pairs: float
) -> None:
    """As a share of the true variance; pairs taken for independent are the negative control."""
    values, true = drawn_for(design, 1.0, pairs, 7)
    fixed = (0,) if design is STAR else ()
    found = [over_pairs(design, row, fixed=fixed) for row in values.tolist()]
    mean = sum((each.over_models or 0.0) ** 2 for each in found) / RUNS / true
    assert low * 0.93 <= mean <= high * 1.07
    naive = float(values.var(1).mean()) / len(design) / true
    assert naive <= independent * 1.07
    inside = share([abs(each.value) <= (each.half or 0) for each in found])
    assert 0.93 <= inside <= 0.98


@pytest.mark.parametrize(("design", "low", "high"), [(ALL, 0.93, 0.97), (CHAIN, 0.85, 0.925)])
def test_components_are_nearly_unbiased(design: Design, low: float, high: float) -> None:
    """But for what is set to zero below it, so that an interval of them is too narrow for a
    chain.
    """
    values, true = drawn_for(design, 1.0, 0.5, 8)
    found = [components(design, row) for row in values.tolist()]
    errors = [0.0 if each is None else each.stderr for each in found]
    assert sum(error**2 for error in errors) / RUNS / true == pytest.approx(1.0, abs=0.15)
    assert sum(each.models**2 for each in found if each) / RUNS == pytest.approx(1.0, abs=0.2)
    width = student(len({model for pair in design for model in pair}) - 1)
    means = values.mean(1).tolist()
    covered = share([abs(m) <= width * e for m, e in zip(means, errors, strict=True)])
    assert low <= covered <= high


def test_components_of_two_known_effects() -> None:
    """Without pair effects the values tell the spread of the models exactly."""
    effects = [0.0, 1.0, 3.0, -2.0, 0.5]
    values = [effects[i] + effects[j] for i, j in ALL]
    found = components(ALL, values)
    assert found is not None and found.pairs == pytest.approx(0, abs=1e-7)
    assert found.models == pytest.approx(float(torch.tensor(effects).double().std()))
    assert found.stderr == pytest.approx(over_pairs(ALL, values).over_models)


@pytest.mark.parametrize("design", [APART, STAR, [(0, 1)], [(0, 1), (1, 2)]])
def test_designs_that_do_not_tell_models_from_pairs(design: Design) -> None:
    assert components(design, [float(k) for k in range(len(design))], (0,)) is None


def test_degrees_of_freedom_do_not_depend_on_the_unit():
    """Also where the square of a variance is too small for a float."""
    for unit in (1.0, 1e-200, 1e200):
        assert join_freedom((unit, 2), (2 * unit, 6)) == pytest.approx(25 / (1 / 2 + 16 / 6))
        assert join_freedom((unit, 2), (None, 0)) == pytest.approx(2)


@settings(max_examples=60)
@given(st.data())
def test_the_jackknife_moves_with_its_values(data: st.DataObject) -> None:
    """Shifts leave it, factors scale it, names and order do not matter, and it is as in a direct
    count.
    """
    count = data.draw(st.integers(3, 6))
    every = list(combinations(range(count), 2))
    design = data.draw(st.lists(st.sampled_from(every), min_size=2, unique=True))
    number = st.floats(-5, 5, allow_nan=False)
    values = data.draw(st.lists(number, min_size=len(design), max_size=len(design)))
    found = over_pairs(design, values)
    moved = over_pairs(design, [3 * value + 1 for value in values]).over_models
    order = data.draw(st.permutations(range(len(design))))
    renamed = over_pairs(
        [tuple(f"m{k}" for k in reversed(design[i])) for i in order], [values[i] for i in order]
    )
    if found.over_models is None:
        assert moved is renamed.over_models is None
        return
    assert moved == pytest.approx(3 * found.over_models, abs=1e-9)
    assert renamed.over_models == pytest.approx(found.over_models, abs=1e-9)
    apart: dict[tuple[bool, ...], int] = {}
    for model in {k for pair in design for k in pair}:
        apart.setdefault(tuple(model in pair for pair in design), model)
    squares = 0.0
    for model in apart.values():
        rest = [value for pair, value in zip(design, values, strict=True) if model not in pair]
        squares += (sum(rest) / len(rest) - found.value) ** 2
    expected = ((len(apart) - 1) / len(apart) * squares) ** 0.5
    assert found.over_models == pytest.approx(expected, abs=1e-9)


def test_a_reference_that_stays_leaves_independent_pairs() -> None:
    values = [0.4, 0.5, 0.9]
    found = over_pairs([("a", "b"), ("a", "c"), ("a", "d")], values, fixed=("a",))
    assert found.over_models == pytest.approx(float(torch.tensor(values).double().std()) / 3**0.5)
    assert found.freedom == pytest.approx(2) and (found.models, found.pairs) == (4, 3)
    assert over_pairs([("a", "b")], [1.0], fixed=("a", "b")).over_models is None
