"""The shipped models: where they lie, and what their cards say."""

from __future__ import annotations

from pathlib import Path

from lmc_core.folders import assets
from lmc_core.models.config import Config
from lmc_core.models.files.json_files import read_json

Scores = dict[str, dict[str, float | None]]  # split -> what was measured -> value


def zoo_folder() -> Path:
    """The folder of the shipped models."""
    return assets() / "zoo"


def zoo() -> dict[str, Config]:
    """Name -> card of every shipped model, in alphabetical order."""
    return {path.parent.name: read_json(path) for path in sorted(zoo_folder().glob("*/card.json"))}


def read_config(name: str) -> Config:
    """The configuration of a shipped model."""
    return read_json(zoo_folder() / name / "config.json")


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
