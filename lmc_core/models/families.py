"""The families that have a layout. Adding one: a module with a `Family`, and a line here."""

from __future__ import annotations

from lmc_core.errors import UnknownName
from lmc_core.models.family import Family
from lmc_core.models.gpt2 import GPT2
from lmc_core.models.vit import VIT

FAMILIES: dict[str, Family] = {family.name: family for family in (GPT2, VIT)}


def get_family(name: str) -> Family:
    """Return the family of that name.

    Raises:
        UnknownName: if there is none.
    """
    if name not in FAMILIES:
        raise UnknownName.of("family", name, FAMILIES)
    return FAMILIES[name]
