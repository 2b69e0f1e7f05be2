"""A line to a soft end, which is another function than B, against what A and B lose themselves."""

from __future__ import annotations

import pytest
import torch

from lmc_core.paths.curve import Curve
from lmc_core.paths.soft_end import against_true_ends

LAM = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
# of two examples: at A, half way, at the soft end
LOSSES = torch.tensor([[1.0, 3.0], [2.0, 6.0], [5.0, 8.0]])
OWN = torch.tensor([3.0, 1.0])  # what B loses itself


def test_the_chord_ends_at_what_b_loses_itself() -> None:
    found = against_true_ends(Curve(LAM, LOSSES, LOSSES), OWN)
    assert found.chord.tolist() == [2.0, 2.0, 2.0] and found.own == 2.0
    assert found.excess.tolist() == [[0.0, 0.0], [0.0, 4.0], [2.0, 7.0]]


def test_what_a_soft_end_lost_counts_as_a_barrier_at_its_own_place() -> None:
    found = against_true_ends(Curve(LAM, LOSSES, LOSSES), OWN).barrier
    assert (found.value, found.lam, found.index) == (4.5, 1.0, 2)
    assert found.stderr == pytest.approx(2.5)  # of 2 and 7: the deviation 3.54 over the root of two


def test_a_hump_before_a_good_end_is_found_where_it_is() -> None:
    losses = LOSSES.clone()
    losses[2] = OWN
    found = against_true_ends(Curve(LAM, losses, losses), OWN).barrier
    assert (found.value, found.lam, found.index) == (2.0, 0.5, 1)
