"""A setting is what one curve of the figure is: a method and the classes it may use. It fits into
an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lmc_core.errors import BadInput
from lmc_core.figures.text import distinguish, setting_label
from lmc_core.matching.methods import METHODS
from lmc_core.symmetry.spaces import KINDS, PLANES, SymmetryClass

Preset = Literal["none", "permutations", "all", "custom"]
MOST_STEPS = 100_000  # that an address may ask for
MOST_SECONDS = 86_400


@dataclass(frozen=True)
class Setting:
    """A method with its classes.

    Attributes:
        method: ``none`` or a matcher.
        classes: (kind of space, class) in the order of `KINDS`; empty for ``none``.
        steps: of methods that learn; None for others.
        seconds: in place of steps, a time for learning; None for none.
        bend: steps that train the bend of a curve between the aligned models; 0 for the straight
            line.
    """

    method: str
    classes: tuple[tuple[str, str], ...] = ()
    steps: int | None = None
    seconds: int | None = None
    bend: int = 0

    @classmethod
    def of(
        cls,
        method: str,
        classes: Mapping[str, str],
        steps: int | None = None,
        seconds: int | None = None,
        bend: int = 0,
    ) -> Setting:
        """Build one from a mapping; the method ``none`` has no classes."""
        if method == "none":
            return PLAIN
        chosen = tuple((kind, classes[kind]) for kind in KINDS if kind in classes)
        return cls(method, chosen, steps, seconds, bend)

    @classmethod
    def parse(cls, text: str) -> Setting:
        """The inverse of `text`.

        Raises:
            BadInput: for a text that is not a setting.
        """
        first, *parts = text.split(".")
        head, curved, bend = first.partition("~b")
        method, tilde, amount = head.partition("~")
        number, timed = amount.removesuffix("s"), amount.endswith("s")
        most = MOST_SECONDS if timed else MOST_STEPS
        pairs: list[tuple[str, str]] = [
            (kind, value) for kind, _, value in (part.rpartition("-") for part in parts)
        ]
        known = {value.value for value in SymmetryClass}
        unknown = method not in ("none", *METHODS) or any(
            kind not in KINDS or value not in known for kind, value in pairs
        )
        legal = not tilde or _counts(number, most)
        if unknown or not legal or (curved and not _counts(bend, MOST_STEPS)):
            raise BadInput(
                f"The address holds {text!r}, which is no setting; expected e.g. "
                "'weight.units-permutation'."
            )
        count = int(number) if tilde else None
        learned = (None, count) if timed else (count, None)
        return cls.of(method, dict(pairs), *learned, int(bend) if curved else 0)

    @property
    def text(self) -> str:
        """How it is written in an address: "learned~300.residual-orthogonal.units-permutation",
        with a time "learned~60s...", with a bend "weight~b300...".
        """
        amount = f"~{self.seconds}s" if self.seconds else f"~{self.steps}" if self.steps else ""
        first = f"{self.method}{amount}" + (f"~b{self.bend}" if self.bend else "")
        return ".".join([first, *(f"{kind}-{value}" for kind, value in self.classes)])

    @property
    def amount(self) -> str:
        """How much is learned, in words: "300 steps", "60 s"; "" for methods that learn nothing."""
        if self.seconds:
            return f"{self.seconds} s"
        return f"{self.steps:,} steps" if self.steps else ""

    def label(self, largest: Mapping[str, str]) -> str:
        """How it is called in the figure, where `largest` are the largest classes that the models
        admit.
        """
        name = setting_label(self.method, dict(self.classes), largest)
        return f"{name}, bent" if self.bend else name

    @property
    def settings(self) -> dict[str, int | float]:
        """Of the method, as a request wants them."""
        if self.seconds is not None:
            return {"seconds": float(self.seconds)}
        return {} if self.steps is None else {"steps": self.steps}


def _counts(text: str, most: int) -> bool:
    """Whether a text is a number from 1 to some other."""
    return text.isdigit() and 0 < int(text) <= most


PLAIN = Setting("none")


def name_settings(settings: Sequence[Setting], largest: Mapping[str, str]) -> list[str]:
    """Return how settings are called side by side, each differently; see `Setting.label`."""
    names = [setting.label(largest) for setting in settings]
    return distinguish(
        [
            f"{name}, {amount}" if names.count(name) > 1 and (amount := setting.amount) else name
            for name, setting in zip(names, settings, strict=True)
        ]
    )


def all_classes(largest: Mapping[str, str]) -> Setting:
    """Weight matching with the largest class of every kind of space."""
    return Setting.of("weight", largest)


def only_permutations(largest: Mapping[str, str]) -> Setting:
    """Weight matching with permutations of all that can be reordered; the planes inside heads stay
    as they are.
    """
    still = {kind for kind, value in largest.items() if value in ("none", "signs")} | set(PLANES)
    return Setting.of(
        "weight", {kind: "none" if kind in still else "permutation" for kind in largest}
    )


def classes_of(preset: Preset, largest: Mapping[str, str]) -> dict[str, str]:
    """Return kind of space -> class of a preset, for models that admit `largest`; empty for
    ``none`` and ``custom``.
    """
    if preset == "all":
        return dict(largest)
    return dict(only_permutations(largest).classes) if preset == "permutations" else {}


def preset_of(classes: Mapping[str, str], largest: Mapping[str, str]) -> Preset:
    """Return which preset classes amount to, for models that admit `largest`."""
    for preset in ("all", "permutations"):
        if dict(classes) == classes_of(preset, largest):
            return preset
    return "custom"


def with_residual(largest: Mapping[str, str], value: str) -> Setting:
    """Permutations of all that can be reordered, and a class of its own for the residual stream, as
    far as it is admitted.
    """
    classes = dict(only_permutations(largest).classes)
    residual = SymmetryClass(largest["residual"]) if "residual" in largest else SymmetryClass.NONE
    if residual.contains(SymmetryClass(value)):
        classes["residual"] = value
    return Setting.of("weight", classes)
