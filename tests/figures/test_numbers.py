import math

import pytest

from lmc_core.numbers import estimate, number, percent, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.41739, "0.417 nats"),
        (1.834, "1.83 nats"),
        (0.9996, "1.00 nats"),
        (1234.5, "1,230 nats"),
        (-0.0312, "−0.0312 nats"),
        (0, "0 nats"),
        (2.31e-7, "2.31 × 10⁻⁷ nats"),
        (1.2e6, "1.20 × 10⁶ nats"),
        (math.inf, "∞ nats"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_number(value, text):
    assert number(value, "nats") == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.4217, 0.0123, "0.42 ± 0.01 nats"),
        (1.834, 0.021, "1.83 ± 0.02 nats"),
        (0.1712, 0.0093, "0.171 ± 0.009 nats"),
        (-0.0217, 0.0061, "−0.022 ± 0.006 nats"),
        (0.001, 0.02, "0.00 ± 0.02 nats"),
        (1234.0, 56.0, "1,230 ± 60 nats"),
        (0.5, 0.0, "0.500 nats"),
        (0.5, None, "0.500 nats"),
        (1.834e6, 2.1e4, "(1.83 ± 0.02) × 10⁶ nats"),
        (3.2e-8, 1.1e-8, "(3 ± 1) × 10⁻⁸ nats"),
    ],
)
def test_estimate(value, error, text):
    assert estimate(value, error, "nats") == text


def test_percent_and_seconds():
    assert percent(0.8934) == "89.3%"
    assert seconds(1.94) == "1.9 s"
    assert seconds(200) == "3 min 20 s"
