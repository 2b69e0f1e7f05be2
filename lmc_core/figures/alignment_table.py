"""The numbers of an alignment, a row for every space of every copy."""

from __future__ import annotations

from lmc_core.figures.alignment_words import copy_title, group_of, layer_title
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result

HEADER = (
    *(
        "space",
        "layer",
        "copy",
        "class",
        "coordinates",
        "cosine before",
        "cosine after",
        "moved",
        "signs changed",
    ),
    *("mean angle (degrees)", "distance to the identity", "condition number"),
)
STREAM_HEADER = ("read by", "tokens", "cosine before", "cosine after", "CKA", "CKA, unbiased")


def spaces_table(result: Result) -> Table:
    """Every copy of every space: its class, how alike it was and is, and what moved it."""
    rows = []
    for entry in result["spaces"]:
        layer = layer_title(entry["layers"][0]) if len(entry["layers"]) == 1 else "all"
        for copy in range(entry["copies"]):
            facts = (
                entry[name][copy] if entry[name] else None
                for name in ("moved", "flipped", "angle", "distance", "condition")
            )
            name = copy_title(entry, copy) if entry["within"] else None
            about = (group_of(entry), layer, name, entry["class"], entry["size"])
            rows.append((*about, entry["before"][copy], entry["after"][copy], *facts))
    return Table.of(HEADER, rows)


def short_table(result: Result) -> Table:
    """The same with copies together: means over them, the sum of what moved, the largest condition
    number.
    """
    rows = []
    for entry in result["spaces"]:
        layer = layer_title(entry["layers"][0]) if len(entry["layers"]) == 1 else "all"
        size = (
            f"{entry['copies']} \u00d7 {entry['size']}"
            if entry["copies"] > 1
            else f"{entry['size']:,}"
        )
        before, after = (_mean(entry[name]) for name in ("before", "after"))
        rows.append((group_of(entry), layer, entry["class"], size, before, after, *_found(entry)))
    return Table.of(
        ("space", "layer", "class", "coordinates", "cosine before", "after", "found", "condition"),
        rows,
    )


def _found(entry: Result) -> tuple[str, float | None]:
    """What an element did, over all copies, and its largest condition number."""
    worst = max(entry["condition"] or [], default=None)
    if entry["moved"] is not None:
        signs = f", {sum(entry['flipped']):,} signs" if any(entry["flipped"]) else ""
        return f"{sum(entry['moved']):,} moved{signs}", worst
    angle = _mean(entry["angle"])
    return ("mixed" if angle is None else f"{angle:.0f}\u00b0 on average"), worst


def _mean(values: list[float | None] | None) -> float | None:
    known = [value for value in values or [] if value is not None]
    return sum(known) / len(known) if known else None


def streams_table(result: Result) -> Table:
    """The streams layer by layer."""
    rows = []
    for stream in result["streams"].values():
        columns = (
            stream[name] for name in ("layers", "tokens", "before", "after", "cka", "unbiased")
        )
        rows += [(layer_title(layer), *rest) for layer, *rest in zip(*columns, strict=True)]
    return Table.of(STREAM_HEADER, rows)
