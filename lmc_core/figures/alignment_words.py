"""How spaces, layers and what an alignment found are called, and the captions of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmc_core.figures.text import MATCHERS, Result, classes_sentence
from lmc_core.numbers import number

Entry = Mapping[str, Any]  # one of a result's `spaces`

TITLES = {"residual": "residual stream", "query-key": "query-key", "value-output": "value-output"}
COUNTED = ("units", "heads", "queries", "experts")  # kinds whose name is a plural
INVARIANT = ("heads", "experts")  # compared by the best that is within them: never negative


@dataclass(frozen=True)
class Point:
    """How alike both models are along the spaces of one kind in one layer.

    Attributes:
        group: which kind, for people.
        layer: ``blocks.3``, ``input`` or ``output``.
        space: name of the space.
        before: mean cosine of coordinates that were matched later.
        after: of those that were matched; None where nothing is known.
    """

    group: str
    layer: str
    space: str
    before: float | None
    after: float | None


def group_of(entry: Entry) -> str:
    """What spaces like this one are called: "units", "units, shared" - its kind with what else its
    name says.
    """
    parts = [
        part for part in entry["name"].split(".") if not part.isdigit() and part != entry["kind"]
    ]
    return ", ".join([str(TITLES.get(entry["kind"], entry["kind"])), *parts])


def layer_title(layer: str) -> str:
    """A layer for people: "Block 3", "Encoder block 3", "Input"."""
    parts = layer.split(".")
    if not parts[-1].isdigit():
        return layer.capitalize()
    outer = [part for part in parts[:-1] if part not in ("blocks", "block")]
    words = " ".join([*outer, "block", parts[-1]])
    return words[0].upper() + words[1:]


def layer_tick(layer: str) -> str:
    """A layer on an axis: "3", "e3", "in"."""
    parts = layer.split(".")
    if not parts[-1].isdigit():
        return {"input": "in", "output": "out"}.get(layer, layer[:3])
    outer = [part for part in parts[:-1] if part not in ("blocks", "block")]
    return "".join(part[0] for part in outer) + parts[-1]


def average(values: Sequence[float | None] | None) -> float | None:
    """Mean of what is known."""
    known = [value for value in values or [] if value is not None]
    return sum(known) / len(known) if known else None


def points_of(result: Result) -> list[Point]:
    """The overview as rows: spaces of one layer by the mean over their copies, streams layer by
    layer.
    """
    found = []
    for entry in result["spaces"]:
        group = group_of(entry)
        if entry["by_layer"]:
            found += [
                Point(group, layer, entry["name"], *pair)
                for layer, pair in entry["by_layer"].items()
            ]
        else:
            layer = entry["layers"][0]
            found.append(
                Point(
                    group, layer, entry["name"], average(entry["before"]), average(entry["after"])
                )
            )
    return found


def layers_in(result: Result) -> list[str]:
    """All layers of a result, in the order of the network."""
    found = list(dict.fromkeys(layer for entry in result["spaces"] for layer in entry["layers"]))
    ends = {"input": -1, "output": 1}
    return sorted(found, key=lambda layer: ends.get(layer, 0))


def copy_title(entry: Entry, copy: int) -> str:
    """One copy of a space within another: "head 2", "expert 5"."""
    outer = str(entry["within"] or "").split(".")[0]
    return f"{outer.removesuffix('s') or 'copy'} {copy}"


def what_is_compared(entry: Entry) -> str:
    """What a cell of a space's matrix is, in a sentence."""
    kind = entry["kind"]
    if kind == "heads":
        return (
            "Each cell compares a head of A with a head of B by the best that their planes can "
            "reach (and the order of the "
            "queries that share a key), so the planes do not matter; unrelated heads are above 0."
        )
    if kind == "experts":
        return (
            "Each cell compares an expert of A with an expert of B by the best order of their "
            "units and by their rows of the "
            "router; unrelated experts are above 0."
        )
    return (
        "Each cell is the cosine between a coordinate of A and one of B: of all parameters that "
        "write or read it, each layer "
        "weighted as in weight matching."
    )


def heatmap_caption(result: Result, entry: Entry, copy: int, own: bool) -> str:
    """A caption for both matrices of a space.

    Args:
        result: of the alignment.
        entry: of the space.
        copy: which copy is drawn.
        own: whether the second matrix has B in its own order, with the assignment drawn in.
    """
    a, b = result["models"]
    where = layer_title(entry["layers"][0]) if len(entry["layers"]) == 1 else "all layers"
    place = f"{group_of(entry)}, {where.lower()}" + (
        f", {copy_title(entry, copy)}" if entry["within"] else ""
    )
    before, after = entry["before"][copy], entry["after"][copy]
    noun = entry["kind"] if entry["kind"] in COUNTED else "coordinates"
    order = f"After, {b} is in {a}'s coordinates."
    if own:
        order = f"After, columns are in {b}'s own order and the matched cells are marked."
    sentences = [
        f"{place[0].upper()}{place[1:]} ({entry['size']:,} {noun}): {a} in rows, {b} in columns, "
        "before and after the "
        f"alignment, on one scale.",
        what_is_compared(entry),
        f"Before, both are as numbered in their own files, in canonical form. {order}",
        f"Mean of matched pairs: {number(before)} before, {number(after)} after.",
    ]
    if entry["edge"] > 1:
        sentences.append(
            f"Cells are means over blocks of {entry['edge']} x {entry['edge']} coordinates, so "
            "that a sharp diagonal looks "
            "faint."
        )
    if result.get("wider"):
        sentences.append(
            f"{result['wider']} is the wider; the other was widened to its size first, and what "
            "that leaves open has the "
            "wider model's values, which raises the cosines."
        )
    return " ".join(sentences)


def overview_caption(result: Result) -> str:
    """A caption for the overview that would stand in a paper."""
    a, b = result["models"]
    size = (
        f" ({result['parameters']:,} parameters each)"
        if result.get("parameters") and not result.get("wider")
        else ""
    )
    method = MATCHERS.get(result["method"], result["method"])
    sentences = [
        f"How alike {a} and {b}{size} are in every layer before (hollow) and after (filled) {b} "
        "was brought into the "
        f"coordinates of {a} by {method} ({classes_sentence(result['classes'])}).",
        "Mean over matched coordinates of the cosine between their parameters; heads and experts "
        "by the best that is within "
        "them.",
        "The aligned model computes what the original does: largest relative difference of the "
        "outputs "
        f"{number(result['function_error'], digits=2)}.",
    ]
    if result.get("versions"):
        date = str(result.get("date", ""))[:10]
        sentences.append(
            f"LMC Explorer {result['versions'].get('lmc', '')}, torch "
            f"{result['versions'].get('torch', '')}, {date}."
        )
    return " ".join(sentences)


def streams_caption(result: Result, stream: Mapping[str, Any]) -> str:
    """A caption for the streams' figures."""
    a, b = result["models"]
    few = (
        " (one token of each example where a model reads no more)"
        if len(set(stream["tokens"])) > 1
        else ""
    )
    return (
        f"Residual streams of {a} and {b} as each layer reads them, on {max(stream['tokens']):,} "
        f"tokens{few} of "
        f"{result['examples']:,} examples of the {result['split']} split of {result['task']}. "
        "Linear CKA (Kornblith et al. "
        "2019) does not depend on the coordinates, so no rotation changes it: it is what could be "
        "found. The cosine of both "
        "streams does, and is what was found."
    )


def element_words(entry: Entry, copy: int) -> str:
    """What the alignment did to a space, in a sentence."""
    distance = number((entry["distance"] or [None])[copy])
    if entry["moved"] is not None:
        moved, flipped = entry["moved"][copy], entry["flipped"][copy]
        if not moved and not flipped:
            return "Nothing changed places."
        signs = f", {flipped:,} changed sign" if flipped else ""
        return (
            f"{moved:,} of {entry['size']:,} changed places{signs}. Distance to staying: "
            f"{distance} (0 to 1.41)."
        )
    if entry["angle"] is None:
        return f"Distance to the identity: {distance}."
    stretch = entry["condition"][copy] if entry["condition"] else None
    keeps = not stretch or stretch < 1.001
    lengths = "It keeps lengths." if keeps else f"It stretches: condition number {number(stretch)}."
    return (
        f"Mean angle {number(entry['angle'][copy])}\u00b0 (the identity has 0\u00b0, a random "
        "rotation 90\u00b0), distance to "
        f"the identity {distance} (a random rotation: 1.41). {lengths}"
    )
