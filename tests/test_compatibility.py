"""Every class of every family, saved by its own library: read, moved, written, and opened again in
a fresh process.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers

from lmc_core.models.families import FAMILIES
from scripts.compatibility import Tried, try_classes
from scripts.compatibility_cases import CASES

PAIRS = [
    (family.name, cls)
    for family in FAMILIES.values()
    for cls in family.classes
    if hasattr(transformers, cls)
]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Tried]:
    pairs = [(FAMILIES[family], cls) for family, cls in PAIRS]
    return {
        (one.family, one.cls): one for one in try_classes(pairs, tmp_path_factory.mktemp("classes"))
    }


@pytest.mark.parametrize(("family", "cls"), PAIRS)
def test_a_class_is_read_moved_and_reopened(
    tried: dict[tuple[str, str], Tried], family: str, cls: str
) -> None:
    found = tried[family, cls]
    assert not found.reason
    assert found.read == 0.0 or found.read < 1e-6
    assert found.good, found.row


@pytest.mark.parametrize("name", CASES)
def test_what_people_bring(name: str, tmp_path: Path) -> None:
    right, came = CASES[name].verdict(tmp_path / "case")
    assert right, came
