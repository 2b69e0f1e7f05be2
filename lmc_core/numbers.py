"""Numbers as people read them: three significant digits, a unit, and an error where there is
one.
"""

from __future__ import annotations

import math

MINUS, TIMES, PLUS_MINUS = "\u2212", "\u00d7", "\u00b1"
RAISED = str.maketrans(
    "-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
)


def _plain(value: float, decimals: int) -> str:
    text = f"{abs(value):,.{max(decimals, 0)}f}"
    negative = value < 0 and any(digit in text for digit in "123456789")
    return (MINUS if negative else "") + text


def number(value: float | None, unit: str = "", digits: int = 3) -> str:
    """Return a number with significant digits and its unit: "0.417 nats", "2.31 × 10⁻⁷".

    Args:
        value: None and NaN become a dash.
        unit: written after a space, if any.
        digits: how many are significant.
    """
    tail = f" {unit}" if unit else ""
    if value is None or math.isnan(value):
        return "\u2013"
    if math.isinf(value):
        return (MINUS if value < 0 else "") + "\u221e" + tail
    if value == 0:
        return "0" + tail
    value = float(f"{value:.{digits - 1}e}")
    power = math.floor(math.log10(abs(value)))
    if -4 < power < 5:
        return _plain(value, digits - 1 - power) + tail
    mantissa = _plain(value / 10.0**power, digits - 1)
    return f"{mantissa} {TIMES} 10{str(power).translate(RAISED)}{tail}"


def estimate(value: float | None, error: float | None, unit: str = "") -> str:
    """Return an estimate with its standard error, rounded to the error's first digit: "0.42 ± 0.01
    nats".
    """
    if (
        value is None
        or not math.isfinite(value)
        or error is None
        or not math.isfinite(error)
        or error <= 0
    ):
        return number(value, unit)
    error = float(f"{error:.0e}")
    power = math.floor(math.log10(error))
    tail = f" {unit}" if unit else ""
    if max(abs(value), error) >= 1e5 or power < -6:
        top = math.floor(math.log10(max(abs(value), error)))
        scale = 10.0**top
        body = (
            f"({_plain(value / scale, top - power)} {PLUS_MINUS} "
            f"{_plain(error / scale, top - power)})"
        )
        return f"{body} {TIMES} 10{str(top).translate(RAISED)}{tail}"
    return f"{_plain(round(value, -power), -power)} {PLUS_MINUS} {_plain(error, -power)}{tail}"


def describe_change(error: float, whose: str = "") -> str:
    """Return how much an alignment changed outputs, in words.

    Args:
        error: largest relative difference.
        whose: follows "at most".
    """
    return f"outputs changed by {number(error, digits=2)} (relative, at most{whose})"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage: "89.3%"."""
    return "\u2013" if share is None or math.isnan(share) else f"{_plain(100 * share, digits)}%"


def seconds(value: float | None) -> str:
    """Return a duration: "0.42 s", "3 min 20 s"."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    if value < 60:
        return number(value, "s", 2)
    return f"{int(value) // 60} min {int(value) % 60} s"


def size(value: float) -> str:
    """Return a number of bytes: "56.3 MB", "1.42 GB"."""
    power = next(p for p in (3, 2, 1, 0) if value >= 1000**p or p == 0)
    return number(value / 1000**power, ("B", "kB", "MB", "GB")[power])


def count_words(count: int, noun: str) -> str:
    """Return a number with its noun: "1 picture", "2 pictures"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
