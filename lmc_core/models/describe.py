"""What is known about models, as plain values: for the command line, the app, and whoever lists
them.
"""

from __future__ import annotations

import json
from typing import Any

from lmc_core.models.common import untied
from lmc_core.models.families import get_family
from lmc_core.models.load import folder_of, load, zoo
from lmc_core.models.model import Model
from lmc_core.symmetry.dimension import symmetry_dimension
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.spaces import KINDS, kinds_of


def listing() -> list[dict[str, Any]]:
    """One object per model of the zoo, in alphabetical order."""
    rows = []
    for name, card in zoo().items():
        family = get_family(card["family"])
        sizes = family.sizes(
            family.config(json.loads((folder_of(f"zoo:{name}") / "config.json").read_text()))
        )
        row = {
            "name": name,
            "reference": f"zoo:{name}",
            "family": family.name,
            "task": card["task"],
            "seed": card["seed"],
        }
        row |= {"takes": family.takes}
        row |= {
            "parameters": card["parameters"],
            "width": sizes["width"],
            "sizes": sizes,
            "scores": card["scores"],
        }
        rows.append(row)
    return rows


def describe(reference: str, **loading: Any) -> dict[str, Any]:
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
        "scores": model.card.get("scores", {}),
        "digest": model.digest,
        "notes": list(model.notes),
        "spaces": spaces(model.layout),
        "kinds": kinds(model.layout),
        "dimension": {"total": sum(counts.values()), "of": counts},
    }


def dimension(model: Model) -> dict[str, int]:
    """Directions of the model's parameters that no output sees, by where they come from; a tied
    head counts as its own.
    """
    own = untied(model)
    return symmetry_dimension(own.layout, own.family.rewrite(own.config))


def spaces(layout: Layout) -> list[dict[str, Any]]:
    """One object for all spaces of one kind that are alike: how many, of what size, which classes
    and why.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for space in layout.spaces.values():
        alike = (space.kind, space.size, space.classes, space.reason)
        new = {
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


def kinds(layout: Layout) -> dict[str, dict[str, Any]]:
    """Kind of space -> what it is, the classes that can be chosen for it, and why there are no
    more.
    """
    found = {}
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
