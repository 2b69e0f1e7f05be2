import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc_core.figures.layout import fresh, padded, spread, stacked


def test_far_positions_stay():
    assert spread([10, 100, 50], 20, 0, 200) == [10, 100, 50]


def test_equal_positions_are_spread_around_their_place():
    assert spread([50, 50, 50], 20, 0, 200) == [30, 50, 70]


def test_they_stay_inside():
    assert spread([0, 0], 20, 10, 200) == [10, 30]
    assert spread([200, 200], 20, 0, 200) == [180, 200]


@given(st.lists(st.floats(0, 400), max_size=8))
def test_spread_keeps_the_gap_and_the_order(wanted):
    found = spread(wanted, 20, 0, 400)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for one, other in zip(order, order[1:], strict=False):
        assert found[other] - found[one] >= 20 - 1e-6


def test_labels_of_close_lines_are_stacked_above_the_highest():
    assert stacked([100, 300, 310], 40, 20) == [120, 330, 370]


def test_fresh_goes_in_one_direction():
    assert fresh(0.5, [0.5, 0.48], 0.02, -1) == pytest.approx(0.46)


def test_padded_gives_a_single_value_a_range():
    low, high = padded(2.0, 2.0, 0.1, 0.1)
    assert low < 2 < high
    assert padded(0.0, 1.0, 0.1, 0.2) == pytest.approx((-0.1, 1.2))
