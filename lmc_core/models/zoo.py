"""The shipped models, as their cards and configurations describe them; nothing here loads torch."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from lmc_core.folders import assets
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.files.json_files import read_json

Scores = dict[str, dict[str, float | None]]  # split -> what was measured -> value


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


def zoo_folder() -> Path:
    """The folder of the shipped models."""
    return assets() / "zoo"


def zoo() -> dict[str, Config]:
    """Name -> card of every shipped model, in alphabetical order."""
    return {path.parent.name: read_json(path) for path in sorted(zoo_folder().glob("*/card.json"))}


def zoo_names() -> list[str]:
    """Names of the shipped models, in alphabetical order."""
    return sorted(path.parent.name for path in zoo_folder().glob("*/card.json"))


def read_scores(card: Config) -> Scores:
    """The scores of a card, by split."""
    found: Scores = {}
    for split in card.part("scores") if card.get("scores") else ():
        values = card.part("scores").part(split)
        found[split] = {
            name: value if value is None else values.number(name) for name, value in values.items()
        }
    return found


def listing() -> list[ModelRow]:
    """One object per model of the zoo, in alphabetical order."""
    rows: list[ModelRow] = []
    for name, card in zoo().items():
        family = FAMILIES[card.text("family")]
        config = read_json(zoo_folder() / name / "config.json")
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
