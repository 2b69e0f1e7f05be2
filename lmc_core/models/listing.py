"""The shipped models as a list: sizes, scores, parameters, from their cards and configurations."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from lmc_core.models.families import FAMILIES
from lmc_core.models.zoo import Scores, read_config, read_scores, zoo


class Row(TypedDict):
    """What is known about a model that can be chosen."""

    name: str
    reference: str
    family: str
    task: str
    seed: int | None
    takes: str  # "images" or "text"
    parameters: int
    width: int
    sizes: dict[str, int]
    scores: Scores
    digest: str
    notes: NotRequired[list[str]]
    origin: NotRequired[str]  # digest of the model that it was fine-tuned from


class ModelRow(TypedDict):
    """What is known of a model of the zoo from its card."""

    name: str
    reference: str
    family: str
    task: str
    seed: int
    takes: str
    parameters: int
    width: int
    sizes: dict[str, int]
    scores: Scores


def listing() -> list[ModelRow]:
    """One object per model of the zoo, in alphabetical order."""
    rows: list[ModelRow] = []
    for name, card in zoo().items():
        family = FAMILIES[card.text("family")]
        config = read_config(name)
        sizes = family.sizes(family.config(config))
        rows.append(
            {
                "name": name,
                "reference": f"zoo:{name}",
                "family": family.name,
                "task": card.text("task"),
                "seed": card.size("seed"),
                "takes": family.takes,
                "parameters": card.size("parameters"),
                "width": sizes["width"],
                "sizes": sizes,
                "scores": read_scores(card),
            }
        )
    return rows


class KindRow(TypedDict):
    """One kind of space: what it is, the classes that can be chosen for it, and why no more."""

    what: str
    classes: list[str]
    largest: str
    reason: str
