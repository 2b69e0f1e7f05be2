"""Effective ranks against their formula, and the matrices of every family."""

from __future__ import annotations

import math

import pytest
import torch

from lmc_core.analysis.difference import effective_rank
from lmc_core.analysis.hessian import in_canonical_form
from lmc_core.analysis.spectra import describe_spectrum, find_matrices, singular_values
from tests.networks import random_model
from tests.tiny import tiny


def test_ranks_of_spectra_that_are_known() -> None:
    flat = describe_spectrum(torch.ones(1, 7))
    assert flat.effective == pytest.approx(7) and flat.stable == pytest.approx(7)
    assert flat.norm == pytest.approx(math.sqrt(7)) and flat.top == 1
    one = describe_spectrum(torch.tensor([[5.0, 0.0, 0.0]]))
    assert one.effective == pytest.approx(1) and one.stable == pytest.approx(1)
    two = describe_spectrum(torch.tensor([[3.0, 1.0]]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert two.effective == pytest.approx(math.exp(entropy)) and two.stable == pytest.approx(10 / 9)
    assert describe_spectrum(torch.zeros(2, 3)).effective == 0
    # of copies the mean; one that is zero has no rank
    both = describe_spectrum(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    assert both.effective == pytest.approx(2)


def test_it_is_the_rank_of_the_other_formula() -> None:
    matrix = torch.randn(9, 30, generator=torch.Generator().manual_seed(0))
    found = describe_spectrum(torch.linalg.svdvals(matrix)[None])
    assert found.effective == pytest.approx(effective_rank([matrix]), rel=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral", "vit"])
def test_every_matrix_of_a_network_is_there_once(name: str) -> None:
    model = in_canonical_form(random_model(name))
    matrices = find_matrices(model.layout)
    assert len({each.name for each in matrices}) == len(matrices)
    squares = 0.0
    for each in matrices:
        values = singular_values(model, each.name)
        assert values.shape == (each.copies, min(each.rows, each.columns))
        squares += float(values.square().sum())
    known = {model.layout.by_name[each.name].parameter for each in matrices}
    assert squares == pytest.approx(
        sum(float(model.state[name].double().square().sum()) for name in known), rel=1e-9
    )
    wide = {n for n, t in model.state.items() if t.ndim > 1 and sorted(t.shape)[-2] > 1}
    assert known == wide
    assert (max(each.copies for each in matrices) > 1) == (name == "mixtral")


def test_the_average_of_independent_matrices_loses_norm_and_gains_rank() -> None:
    a, b = tiny("gpt2", 0), tiny("gpt2", 1)
    half = a.with_state({n: (a.state[n] + b.state[n]) / 2 for n in a.state})
    name = next(each.name for each in find_matrices(a.layout) if each.name.endswith("up.weight"))
    ends, middle = (
        [describe_spectrum(singular_values(model, name)) for model in group]
        for group in ((a, b), (half,))
    )
    assert middle[0].norm < 0.85 * min(each.norm for each in ends)
    assert middle[0].effective == pytest.approx(ends[0].effective, rel=0.3)
