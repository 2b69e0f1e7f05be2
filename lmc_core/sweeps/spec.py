"""What a sweep is: models in pairs or groups, methods, and what else is varied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from lmc_core.runs.request import Scalar
from lmc_core.sweeps.classes import ClassChoice


@dataclass(frozen=True)
class MethodChoice:
    """A method with one value for each of its settings, and one choice of classes.

    Attributes:
        label: what the file calls it, with the values of settings that have several.
        method: ``none``, or a name.
        classes: that are allowed; None for ``none``.
        settings: of the method, by name.
        learn: training examples to learn from; None for the default.
    """

    label: str
    method: str
    classes: ClassChoice | None = None
    settings: tuple[tuple[str, Scalar], ...] = ()
    learn: int | None = None


@dataclass(frozen=True)
class ModelSet:
    """Models that are compared with each other.

    Attributes:
        name: in tables; "" where there is one set without a name.
        models: their references.
        units: the pairs or groups, each of references.
    """

    name: str
    models: tuple[str, ...]
    units: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Sweep:
    """A sweep file, read and checked.

    Attributes:
        name: of the file, or its entry ``name``.
        title: for people.
        sets: models with their pairs or groups.
        methods: the columns of the comparison.
        grid: argument of the request -> its values.
        grouped: whether the units are groups, of any number, rather than pairs.
        reference: the model that all others are compared with; None for none.
        device: kind of device; None for the default (`runs.inputs.find_device`).
        source: the file.
        content: as it was read.
    """

    name: str
    title: str
    sets: tuple[ModelSet, ...]
    methods: tuple[MethodChoice, ...]
    grid: Mapping[str, tuple[Scalar, ...]]
    grouped: bool = False
    reference: str | None = None
    device: str | None = None
    source: Path | None = None
    content: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def options(self) -> list[dict[str, Scalar]]:
        """Every combination of the values of the grid."""
        return [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]

    @property
    def varied(self) -> list[str]:
        """Arguments that have several values."""
        return [name for name, values in self.grid.items() if len(values) > 1]

    @property
    def cells(self) -> int:
        """How many there are."""
        units = sum(len(each.units) for each in self.sets)
        return units * len(self.methods) * len(self.options)
