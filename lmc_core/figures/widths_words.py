"""What is said of a narrow model inside a wide one: labels, captions, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result, barrier_words
from lmc_core.numbers import estimate, number

NOBODY = -1
LABELS = {
    "none": "Padded with zeros",
    "weight": "By weights",
    "activation": "By activations",
    "learned": "Learned",
}
EQUAL = {"none": "Plain average"}


@dataclass(frozen=True)
class Strip:
    """Which narrow unit each place of one space of the wide model belongs to.

    Attributes:
        name: "units, layer 2".
        owner: narrow unit of each place, `NOBODY` for one that nothing reads.
        shares: what part of the unit's output comes from there.
        units: number of narrow units.
    """

    name: str
    owner: tuple[int, ...]
    shares: tuple[float, ...]
    units: int

    @property
    def empty(self) -> int:
        """How many places nothing reads."""
        return sum(owner == NOBODY for owner in self.owner)

    def copies(self) -> list[list[int]]:
        """The places of every narrow unit, the largest share first."""
        found: list[list[int]] = [[] for _ in range(self.units)]
        for place in sorted(range(len(self.owner)), key=lambda k: -self.shares[k]):
            if self.owner[place] != NOBODY:
                found[self.owner[place]].append(place)
        return found


def strips(result: Result) -> list[Strip]:
    """Return every space of unequal numbers; of mixtures and grouped queries one for each expert or
    group.
    """
    found = []
    for space, places in (result.get("places") or {}).items():
        rows = places["owner"], places["shares"]
        several = bool(rows[0]) and isinstance(rows[0][0], list)
        for number_of, (owner, shares) in enumerate(zip(*rows, strict=True) if several else [rows]):
            name = space_name(space) + (f", part {number_of}" if several else "")
            found.append(Strip(name, tuple(owner), tuple(shares), max(owner) + 1))
    return found


def space_name(space: str) -> str:
    """Return a name for people: "units, layer 2" for ``units.2``."""
    *kind, last = space.split(".")
    return (
        f"{' '.join(reversed(kind))}, layer {last}"
        if kind and last.isdigit()
        else space.replace(".", " ")
    )


def setting_name(result: Result, equal: bool = False) -> str:
    """Return how a curve is called: "Padded with zeros", "Learned, 300 steps"."""
    method = str(result["method"])
    name = (EQUAL if equal else {}).get(method) or LABELS.get(method, method)
    steps = (result.get("settings") or {}).get("steps")
    return f"{name}, {steps:,} steps" if steps else name


def pair_name(widths: Sequence[int]) -> str:
    """Return what a pair is by its widths: "48 in 96", or "96 and 96"."""
    narrow, wide = widths
    return f"{narrow} and {wide}" if narrow == wide else f"{narrow} in {wide}"


def curves_caption(results: Sequence[Result], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a caption for the curves that would stand in a paper, in plain text.

    Args:
        results: of the chosen pair.
        rows: of the catalogue, of the narrow and the wide model.
    """
    first = results[0]
    narrow, wide = rows
    said = "; ".join(
        f"{setting_name(r)}: {barrier_words(r)} at \u03bb = {number(r['barrier_lam'])}"
        for r in results
    )
    errors = [r["function_error"] for r in results if r["function_error"] is not None]
    check = (
        " Before interpolation the widened model gives the outputs of the narrow one, and the "
        "moved one its own: largest "
        f"relative difference {number(max(errors), digits=2)}."
        if errors
        else ""
    )
    return (
        f"Loss along the straight line from {narrow['name']} (width {narrow['width']}, "
        f"{narrow['parameters']:,} parameters), "
        f"widened to the sizes of {wide['name']} (width {wide['width']}, {wide['parameters']:,} "
        "parameters), to that model; "
        f"{first['split']} split of {first['task']}, {first['examples']:,} examples. Barriers, "
        "\u00b1 one standard error: "
        f"{said}.{check} LMC Explorer {(first.get('versions') or {}).get('lmc', '')}, "
        f"{str(first.get('date', ''))[:10]}."
    )


def unread(count: int) -> str:
    """Return how many places nothing reads: "12 places are read by no one"."""
    return f"{count:,} place{' is' if count == 1 else 's are'} read by no one"


def places_caption(result: Result, strip: Strip) -> str:
    """Return a caption for the places of one space, in plain text."""
    many = sorted({len(each) for each in strip.copies()})
    copies = f"{many[0]}" if len(many) == 1 else f"{many[0]} to {many[-1]}"
    empty = "no place is left over" if not strip.empty else unread(strip.empty)
    units = f"{strip.units:,} {strip.name.replace(', ', ' of ', 1)}"
    return (
        f"Where the {units} of {result['models'][0]} stand among the {len(strip.owner):,} of "
        f"{result['models'][1]} "
        f"({setting_name(result)}): each at {copies} places, which take in the same and share "
        "what goes "
        f"out, in parts that sum to 1; {empty}. The residual stream has no such places: it is "
        "turned, so that each of its "
        "directions lies across all coordinates of the wide one."
    )


def against_caption(results: Sequence[Result], reference: Result | None) -> str:
    """Return a caption for barriers of several pairs, in plain text."""
    if not results:
        return "No result yet."
    first = results[0]
    said = (
        " The dashed line is the barrier of the plain average of "
        f"{' and '.join(reference['models'])}, of equal width: "
        f"{barrier_words(reference)}."
        if reference is not None
        else ""
    )
    return (
        "Barrier between a narrow model and a wide one by their widths, \u00b1 one standard error "
        "over "
        f"{first['examples']:,} examples of the {first['split']} split of {first['task']}.{said}"
    )


def curves_table(results: Sequence[tuple[tuple[int, int], Result]]) -> Table:
    """Return one row for each result; widths with each."""
    rows = [
        (
            pair_name(widths),
            " \u2192 ".join(result["models"]),
            setting_name(result, widths[0] == widths[1]),
            estimate(result["barrier"], result["barrier_stderr"]),
            number(result["barrier_lam"]),
            number(result["midpoint_loss"]),
            number(result["function_error"], digits=2),
        )
        for widths, result in results
    ]
    unit = str(results[0][1]["unit"]).split(" per ")[0] if results else "nats"
    header = (
        "Widths",
        "Models",
        "Matched",
        f"Barrier ({unit})",
        "at \u03bb",
        f"Midpoint loss ({unit})",
        "Function check",
    )
    return Table.of(header, rows)


def places_table(found: Sequence[Strip]) -> Table:
    """Return one row for every place of every space."""
    rows = [
        (strip.name, place, None if owner == NOBODY else owner, None if owner == NOBODY else share)
        for strip in found
        for place, (owner, share) in enumerate(zip(strip.owner, strip.shares, strict=True))
    ]
    return Table.of(("space", "place", "narrow_unit", "share"), rows)
