"""The numbers that are shipped with the lecture, measured by `scripts/lecture.py`: barriers, and
what the slides show of small networks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from statistics import mean
from typing import Any, TypedDict

from lmc_core.errors import StoreError
from lmc_core.folders import assets


class Measured(TypedDict):
    """A barrier in nats, and its standard error."""

    barrier: float
    barrier_stderr: float


class ClassesCurve(Measured):
    """The line between two networks, aligned within some classes."""

    units: bool
    heads: bool
    residual: str
    planes: bool
    learned: bool
    loss: list[float]
    loss_stderr: list[float]
    accuracy: list[float]
    barrier_lam: float
    function_error: float | None


class Remains(TypedDict):
    """What is left of the barrier of a family, by setting."""

    name: str
    width: int
    unit: str
    pairs: int
    nats: dict[str, float]
    shares: dict[str, float]


SETTINGS = ("plain", "permutations", "weight", "learned")
CLASSES = ("units", "heads", "residual", "planes", "learned")
LADDER = (  # one class after the other, as the lecture switches them on
    ("nothing", {}),
    ("units", {"units": True}),
    ("heads", {"units": True, "heads": True}),
    ("stream permuted", {"units": True, "heads": True, "residual": "permutation"}),
    ("stream rotated", {"units": True, "heads": True, "residual": "orthogonal"}),
    ("planes", {"units": True, "heads": True, "residual": "orthogonal", "planes": True}),
    (
        "learned",
        {"units": True, "heads": True, "residual": "orthogonal", "planes": True, "learned": True},
    ),
)
NOTHING: dict[str, bool | str] = {
    "units": False,
    "heads": False,
    "residual": "none",
    "planes": False,
    "learned": False,
}


@cache
def barriers() -> dict[str, Any]:
    """Everything in the file.

    Raises:
        StoreError: if it is missing or damaged.
    """
    return _read("barriers", "python scripts/lecture.py")


@cache
def networks() -> dict[str, Any]:
    """What `lecture.networks.measure` measured, by the key of the step.

    Raises:
        StoreError: if the file is missing or damaged.
    """
    return _read("networks", "python scripts/lecture.py --networks")


def _read(name: str, command: str) -> dict[str, Any]:
    try:
        return json.loads((assets() / "lecture" / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"The file {name}.json of the lecture is missing or damaged; `{command}` measures it "
            "again."
        ) from error


def find_curve(choice: Mapping[str, bool | str]) -> ClassesCurve | None:
    """The curve of a choice of classes, or None where none was measured; nothing chosen is the
    plain average.

    Args:
        choice: some of `CLASSES`; those left out are off.
    """
    wanted = NOTHING | dict(choice)
    if {**wanted, "learned": False} == NOTHING:
        wanted = NOTHING
    return next(
        (row for row in barriers()["classes"] if {name: row[name] for name in CLASSES} == wanted),
        None,
    )


def ladder() -> dict[str, ClassesCurve]:
    """What is left of the barrier as one class after the other is switched on, by its name."""
    found = {name: find_curve(choice) for name, choice in LADDER}
    return {name: row for name, row in found.items() if row is not None}


def remains() -> list[Remains]:
    """For each family the mean barrier over its pairs by setting, in nats, and what is left of the
    plain one.
    """
    rows: list[Remains] = []
    for family in barriers()["families"]:
        means = {name: mean(pair[name]["barrier"] for pair in family["pairs"]) for name in SETTINGS}
        shares = {
            name: mean(pair[name]["barrier"] / pair["plain"]["barrier"] for pair in family["pairs"])
            for name in SETTINGS
        }
        row = Remains(
            name=family["name"],
            width=family["width"],
            unit=family["unit"],
            pairs=len(family["pairs"]),
            nats=means,
            shares=shares,
        )
        rows.append(row)
    return rows
