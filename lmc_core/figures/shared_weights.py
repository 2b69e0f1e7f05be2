"""What models hold in common, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

SHOWN = 6  # names in a sentence


def same_weights(result: Mapping[str, Any]) -> list[str]:
    """What the models of a result hold in common, in words; two are called A and B, more by their
    numbers.

    Args:
        result: with what `sameness.common_weights` returned under ``same``; of older ones the
            digests tell what is equal altogether.
    """
    digests = result.get("digests", ())
    common, count = result.get("same"), len(digests)
    if common is None:
        pairs = [
            pair for pair in combinations(range(count), 2) if digests[pair[0]] == digests[pair[1]]
        ]
        common = [{"models": pair, "same": 1, "tensors": 1} for pair in pairs]
    found = []
    for each in common:
        i, j = each["models"]
        who = "A and B" if count == 2 else f"Models {i + 1} and {j + 1}"
        same, total = each["same"], each["tensors"]
        if same == total:
            found.append(f"{who} hold the same weights.")
        elif "differ" in each:
            found.append(
                f"{who} differ only in {_listed(each['differ'])}: {total - same:,} of {total:,} "
                "tensors."
            )
        else:
            found.append(
                f"{who} have {_listed(each['equal'])} in common: {same:,} of {total:,} tensors."
            )
    return found


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:SHOWN])} and {more} more"
