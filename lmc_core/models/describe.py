"""What is known about models, as plain values: for the command line, the app, and whoever lists them."""

from __future__ import annotations

import json
from typing import Any

from lmc_core.models.families import get_family
from lmc_core.models.load import folder_of, load, zoo
from lmc_core.symmetry.spaces import KINDS


def listing() -> list[dict[str, Any]]:
    """One object per model of the zoo, in alphabetical order."""
    rows = []
    for name, card in zoo().items():
        family = get_family(card["family"])
        sizes = family.sizes(family.config(json.loads((folder_of(f"zoo:{name}") / "config.json").read_text())))
        row = {"name": name, "reference": f"zoo:{name}", "family": family.name, "task": card["task"], "seed": card["seed"]}
        row |= {"parameters": card["parameters"], "width": sizes["width"], "sizes": sizes, "scores": card["scores"]}
        rows.append(row)
    return rows


def describe(reference: str) -> dict[str, Any]:
    """Load a model and return its sizes, scores, and the largest class of each kind of space with its reason."""
    model = load(reference)
    kinds: dict[str, dict[str, Any]] = {}
    for space in model.layout.spaces.values():
        largest = {"largest": space.largest.value, "reason": space.reason, "size": space.size}
        kind = kinds.setdefault(space.kind, {"kind": space.kind, "what": KINDS[space.kind], "spaces": 0, **largest})
        kind["spaces"] += space.copies
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
        "spaces": list(kinds.values()),
    }
