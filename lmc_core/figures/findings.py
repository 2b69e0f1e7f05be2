"""What a picture shows, in one sentence with its numbers; how they were measured is its caption."""

from __future__ import annotations

from collections.abc import Sequence

from lmc_core.figures.text import Result, barrier_words, is_above_plain
from lmc_core.numbers import percent


def barrier_finding(
    results: Sequence[Result], labels: Sequence[str], reference: str = "the plain average"
) -> str:
    """Return what is left of the barrier of the plain average, or the one barrier there is.

    Args:
        results: of barriers; "" is returned of none.
        labels: of each.
        reference: what the curve without an alignment is called.
    """
    if not results:
        return ""
    ordered = sorted(zip(results, labels, strict=True), key=lambda each: each[0]["barrier"])
    low, label = ordered[0]
    plain = next((r for r in results if r.get("method", "none") == "none"), None)
    pairs = {tuple(result.get("models") or ()) for result in results}
    if len(results) == 1:
        return f"{label}: barrier {barrier_words(low)}."
    if len(pairs) > 1 or plain is None:
        high, other = ordered[-1]
        lowest, highest = (barrier_words(each, short=True) for each in (low, high))
        return f"Lowest barrier: {label}, {lowest}; highest: {other}, {highest}."
    before = barrier_words(plain, short=True)
    if low is plain:
        worse = all(is_above_plain(r, results) for r in results if r is not plain)
        return f"No alignment lowers the barrier of {reference}, {before}" + (
            "; all raise it." if worse else "."
        )
    if low.get("at_zero"):
        return f"{label}: no barrier is left of the {before} of {reference}."
    share = f" ({percent(low['barrier'] / plain['barrier'], 0)})" if plain["barrier"] > 0 else ""
    return (
        f"{label}: {barrier_words(low, short=True)} are left of the {before} of {reference}{share}."
    )
