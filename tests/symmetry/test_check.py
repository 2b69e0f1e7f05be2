"""The function check: what counts as changed, by values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lmc_core.errors import FunctionChanged
from lmc_core.symmetry.check import relative_difference, require_same_function


def test_every_example_is_measured_by_its_own_largest_output() -> None:
    reference = torch.tensor([[100.0, -400.0], [2.0, 1.0]])
    outputs = torch.tensor([[101.0, -400.0], [2.0, 1.5]])
    # 0.5 / 2, not 1 / 400 nor 0.5 / 400
    assert relative_difference(reference, outputs) == pytest.approx(0.25)


def test_outputs_that_are_no_numbers_are_infinitely_wrong() -> None:
    assert relative_difference(torch.ones(2, 3), torch.full((2, 3), math.nan)) == math.inf


def test_what_float64_excuses_has_a_limit_and_needs_the_excuse() -> None:
    assert require_same_function(9e-6, "m") == 9e-6
    assert require_same_function(5e-4, "m", exact=lambda: 1e-12) == 5e-4
    for error, exact in (
        (5e-4, None),
        (5e-4, lambda: 1e-9),
        (2e-3, lambda: 1e-12),
        (math.inf, lambda: 0.0),
    ):
        with pytest.raises(FunctionChanged, match="changed its outputs"):
            require_same_function(error, "m", exact=exact)
