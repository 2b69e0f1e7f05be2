"""Four lessons of the page Equivariance: settings that show one thing each, and what to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict, cast

Picture = Literal["paths", "gammas", "gauge", "prices"]

# of a control
Setting = str | int | float | list[str] | list[float]


class Settings(TypedDict):
    """What every control is, by its name in the address."""

    data: str
    kind: list[str]
    group: str
    network: str
    form: list[str]
    primal: float
    dual: float
    c: list[float]
    rho: list[float]
    seed: int
    images: int
    steps: int
    split: str


OWN = "own"
PLAIN: Settings = {
    "data": "digits",
    "kind": ["orbit"],
    "group": "C4",
    "network": "perceptron",
    "form": ["free", "strict", "equality", "resilient"],
    "primal": 0.02,
    "dual": 0.02,
    "c": [2.0],
    "rho": [0.1],
    "seed": 0,
    "images": 400,
    "steps": 300,
    "split": "validation",
}
"""What every control is at first, by its name in the address."""


@dataclass(frozen=True)
class Preset:
    """A lesson.

    Attributes:
        title: the lesson in one sentence.
        look: what to look at, in one or two.
        picture: that shows it; comes first.
        section: that is open below it, a key of `equivariance_sections.SECTIONS`.
        shown: form and kind of data of the run that is looked at closer.
        changes: of the controls against `PLAIN`.
    """

    title: str
    look: str
    picture: Picture
    section: str
    shown: Mapping[str, str | float]
    changes: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def values(self) -> Settings:
        """What it sets every control to, by its name in the address."""
        return cast("Settings", {**PLAIN, **self.changes})


PRESETS = {
    "projection": Preset(
        "Projection must be trained for",
        "Digits in all four positions: the data has the symmetry. **Follow each line to the left, "
        "where the weights are "
        "averaged over the group**: the unconstrained network breaks, the one that was led there "
        "does not.",
        "paths",
        "way",
        {"form": "equality"},
    ),
    "rings": Preset(
        "The equality form rings",
        "Nothing in the data keeps γ away from 0. **Without the augmented term γ swings around 0 "
        "and never rests**: with its "
        "multiplier it is an oscillator of the period 2π / √(primal rate × dual rate). c = 2 "
        "√(dual rate / primal rate) is "
        "the least that stops it.",
        "gammas",
        "training",
        {"form": "equality", "augmented": 0.0},
        {"kind": ["symmetric"], "form": ["equality"], "c": [0.0, 0.5, 2.0], "steps": 1000},
    ),
    "multiplier": Preset(
        "The multiplier is the diagnosis",
        "Data with the symmetry, and data whose labels depend on the rotation. **Look for the "
        "layers whose multiplier stays "
        "away from 0**: there symmetry costs something. The gauge |dJ/dγ| at γ = 0 is how hard "
        "the loss pulls the free part "
        "in, exactly 0 where the data has the symmetry.",
        "gauge",
        "training",
        {"form": "resilient", "kind": "broken"},
        {
            "kind": ["orbit", "broken"],
            "form": ["equality", "resilient"],
            "rho": [1.0],
            "steps": 600,
        },
    ),
    "price": Preset(
        "The best price is in between",
        "The labels of two digits change places unless the image is upright: the symmetry is "
        "mostly right, and wrong "
        "somewhere. **A finite price ρ of asymmetry has a lower held-out loss than either end**, "
        "no constraint and strict "
        "equivariance.",
        "prices",
        "price",
        {"form": "resilient", "price": 1.0},
        {
            "kind": ["broken"],
            "form": ["free", "strict", "resilient"],
            "rho": [0.03, 0.1, 0.3, 1.0, 3.0],
        },
    ),
}
"""Name in the address -> lesson, in the order in which they build on each other."""

TITLES = {**{name: preset.title for name, preset in PRESETS.items()}, OWN: "Own settings"}


def preset_of(name: str) -> Preset:
    """The lesson of a name; own settings begin as the first."""
    return PRESETS.get(name, PRESETS["projection"])
