"""What a model is, as plain values: sizes, scores, the symmetries it admits and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from lmc_core.models.common import untied
from lmc_core.models.config import Json
from lmc_core.models.listing import KindRow, Row
from lmc_core.models.load import configuration, full_reference, load
from lmc_core.models.model import Model
from lmc_core.models.zoo import Scores, read_scores
from lmc_core.symmetry.dimension import symmetry_dimension
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.spaces import KINDS, kinds_of

# where a card names none; whether it fits is said when it is asked for
TASKS = {"images": "fashion-mnist", "text": "plays"}


class SpaceRow(KindRow):
    """All spaces of one kind that are alike: how many, of what size."""

    kind: str
    spaces: int
    size: int


class Dimension(TypedDict):
    """Directions of parameters that no output sees: in all, and by where they come from."""

    total: int
    of: dict[str, int]


class Description(TypedDict):
    """What a model is: sizes, scores, symmetries with their reasons, and their dimension."""

    name: str
    reference: str
    family: str
    sentence: str
    paper: str
    sizes: dict[str, int]
    parameters: int
    task: Json
    seed: Json
    scores: Scores
    digest: str
    notes: list[str]
    spaces: list[SpaceRow]
    kinds: dict[str, KindRow]
    dimension: Dimension


def describe(reference: str, **loading: bool) -> Description:
    """Load a model and say what it is: sizes, scores, the symmetries it admits with their reasons,
    and their dimension.
    """
    model = load(reference, **loading)
    counts = dimension(model)
    return {
        "name": model.name,
        "reference": reference,
        "family": model.family.name,
        "sentence": model.family.sentence,
        "paper": model.family.reference,
        "sizes": model.family.sizes(model.config),
        "parameters": model.parameters,
        "task": model.card.get("task"),
        "seed": model.card.get("seed"),
        "scores": read_scores(model.card),
        "digest": model.digest,
        "notes": list(model.notes),
        "spaces": spaces(model.layout),
        "kinds": kinds(model.layout),
        "dimension": {"total": sum(counts.values()), "of": counts},
    }


def read_kinds(reference: str) -> dict[str, KindRow]:
    """What `kinds` says of a model; its weights are not read."""
    family, config = configuration(reference)
    return kinds(family.layout(config))


def read_row(reference: str) -> Row:
    """What is known about a model by its reference, weights included.

    Raises:
        BadInput: (or another of its kinds) with the reason, when it cannot be used.
    """
    full = full_reference(reference)
    model = load(full)
    sizes, seed = model.family.sizes(model.config), model.card.get("seed")
    source = model.card.get("from")
    row: Row = {
        "name": model.name,
        "reference": full,
        "family": model.family.name,
        "task": str(model.card.get("task") or TASKS.get(model.family.takes, TASKS["images"])),
        "seed": seed if isinstance(seed, int) else None,
        "takes": model.family.takes,
        "parameters": model.parameters,
        "width": sizes["width"],
        "sizes": sizes,
        "scores": read_scores(model.card),
        "digest": model.digest,
        "notes": list(model.notes),
    }
    if isinstance(source, Mapping) and (origin := source.get("digest")):
        row["origin"] = str(origin)
    return row


def dimension(model: Model) -> dict[str, int]:
    """Directions of the model's parameters that no output sees, by where they come from; a tied
    head counts as its own.
    """
    own = untied(model)
    return symmetry_dimension(own.layout, own.family.rewrite(own.config))


def spaces(layout: Layout) -> list[SpaceRow]:
    """One object for all spaces of one kind that are alike: how many, of what size, which classes
    and why.
    """
    rows: dict[tuple[object, ...], SpaceRow] = {}
    for space in layout.spaces.values():
        alike = (space.kind, space.size, space.classes, space.reason)
        new: SpaceRow = {
            "kind": space.kind,
            "what": KINDS[space.kind],
            "spaces": 0,
            "size": space.size,
            "classes": [value.value for value in space.classes],
            "largest": space.largest.value,
            "reason": space.reason,
        }
        rows.setdefault(alike, new)["spaces"] += space.copies
    order = list(KINDS)
    return sorted(rows.values(), key=lambda row: order.index(row["kind"]))


def kinds(layout: Layout) -> dict[str, KindRow]:
    """Kind of space -> what it is, the classes that can be chosen for it, and why there are no
    more.
    """
    found: dict[str, KindRow] = {}
    for kind, classes in sorted(
        kinds_of(layout.spaces).items(), key=lambda each: list(KINDS).index(each[0])
    ):
        reasons = dict.fromkeys(
            space.reason for space in layout.spaces.values() if space.kind == kind
        )
        values = [value.value for value in classes]
        found[kind] = {
            "what": KINDS[kind],
            "classes": values,
            "largest": values[-1],
            "reason": "; elsewhere ".join(reasons),
        }
    return found
