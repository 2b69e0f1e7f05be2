"""What the figures on equivariance draw: runs with what they have recorded so far, what tells them
apart, and their looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmc_core.equivariance.figures.picture import FORM_NAMES, form_label, setting
from lmc_core.figures.style import EXTRA_DASHES, EXTRA_MARKERS, MEANINGS, Stroke, Theme
from lmc_core.look import Look

Facts = Mapping[str, Any]

# looks of the forms; hues of their own, since those of the matchers mean something else
FORMS: dict[str, Look] = {
    "free": Look(
        FORM_NAMES["free"], MEANINGS["plain"].light, MEANINGS["plain"].dark, "5px,3px", "circle"
    ),
    "strict": Look(FORM_NAMES["strict"], "#5d6b00", "#c5d04e", "11px,4px", "square"),
    "equality": Look(FORM_NAMES["equality"], "#b0203f", "#ff8b9c", "solid", "diamond"),
    "resilient": Look(
        FORM_NAMES["resilient"], "#006e80", "#55cfe0", "12px,3px,3px,3px", "triangle-up"
    ),
}
# a network as it is, and its projection, in the colour of what is equivariant
BRANCHES: dict[str, Look] = {
    "on": Look("branch on", "#0f161c", "#e8edf1", "solid", "circle"),
    "off": Look("projected", FORMS["strict"].light, FORMS["strict"].dark, "6px,3px", "square"),
}
DEPTHS = {  # from the first layer to the last
    "light": ("#5b2a86", "#1c63a8", "#007a68", "#6b7400"),
    "dark": ("#c9a2ff", "#6cb8ff", "#45d6b0", "#d9de5a"),
}
DASHES = (
    "solid",
    "10px,4px",
    "3px,3px",
    "14px,3px,4px,3px",
    "20px,5px",
    "7px,2px",
    "16px,4px,3px,3px,3px,3px",
    "2px,6px",
)
NAMES = {
    "first": "first layer",
    "second": "second layer",
    "third": "third layer",
    "embed": "embedding",
}
# share of its swing that gamma keeps over a period, at the least, where the period can be seen
WHOLE = 0.05


@dataclass(frozen=True)
class Run:
    """One training towards equivariance, finished or not.

    Attributes:
        label: what it is called beside others.
        facts: of its result, or of what it has so far (`runs.partial`).
        arrays: by name, as `equivariance.run.compute` lists them; those that are not there yet are
            missing.
    """

    label: str
    facts: Facts = field(repr=False)
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    @property
    def form(self) -> str:
        """The form of the constraint, a key of `FORMS`."""
        return str(self.facts.get("form", "free"))

    @property
    def layers(self) -> list[str]:
        """Names of the layers for people, one for each entry of gamma."""
        return [layer_title(name) for name in self.facts.get("layers", ())]

    @property
    def finished(self) -> bool:
        """Whether the training is over and everything measured."""
        return "on" in self.facts and "off" in self.facts

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return int(self.facts.get("steps", 0))

    @property
    def steps(self) -> np.ndarray:
        """Steps at which the trace was recorded, `[k]`."""
        return self.arrays.get("trace.step", np.zeros(0, dtype=np.int64))

    def trace(self, name: str) -> np.ndarray:
        """What was recorded at every step of `steps`: gamma, multiplier, slack, gauge
        `[k, layers]`; loss, accuracy `[k, 4]`; error `[k, 2]`. Empty where it is missing.
        """
        columns = {"loss": 4, "accuracy": 4, "error": 2}.get(name, len(self.layers))
        found = self.arrays.get(f"trace.{name}")
        return (
            np.zeros((0, columns))
            if found is None or found.ndim != 2
            else np.asarray(found, dtype=np.float64)
        )

    @property
    def period(self) -> float | None:
        """Steps in which gamma of the equality form swings once around while the loss has no say;
        None where it does not ring.

        2 pi / sqrt(eta_p eta_d - (eta_p c / 2)^2), of d gamma = -eta_p (lambda + c gamma), d lambda
        = eta_d gamma per step.
        """
        if self.form != "equality":
            return None
        primal, dual, augmented = (
            float(self.facts.get(name, 0)) for name in ("primal_rate", "dual_rate", "augmented")
        )
        damping = primal * augmented / 2
        squared = primal * dual - damping**2
        if squared <= 0:
            return None
        period = 2 * math.pi / math.sqrt(squared)
        return (
            period
            if period <= max(self.total, 1) and math.exp(-damping * period) >= WHOLE
            else None
        )

    def score(self, name: str, value: str = "loss") -> float:
        """A number of the end: `name` is on, off, train_on or train_off, `value` loss, stderr or
        accuracy; NaN if missing.
        """
        found = self.facts.get(name)
        return (
            float(found[value])
            if isinstance(found, Mapping) and found.get(value) is not None
            else math.nan
        )

    @property
    def copies(self) -> Facts | None:
        """What was found about the moved copy; None for results without it."""
        found = self.facts.get("copies")
        return found if isinstance(found, Mapping) and found.get("curves") else None


def make_runs(
    facts: Sequence[Facts], arrays: Sequence[Mapping[str, np.ndarray]], labels: Sequence[str] = ()
) -> list[Run]:
    """Return runs labelled by what tells them apart, or as given."""
    names = list(labels) or label_runs(facts)
    return [Run(*each) for each in zip(names, facts, arrays, strict=True)]


def layer_title(name: str) -> str:
    """Return a layer for people: "first" -> "first layer", "blocks.0.attention" -> "block 1,
    attention".
    """
    parts = name.split(".")
    if parts[0] == "blocks" and len(parts) > 1 and parts[1].isdigit():
        return ", ".join([f"block {int(parts[1]) + 1}", *parts[2:]])
    return NAMES.get(name, name.replace(".", ", "))


def label_runs(facts: Sequence[Facts]) -> list[str]:
    """Return a label for each run: its form, and after it whatever else differs between them."""
    further = {
        "source": lambda f: str(f.get("source_label", f.get("source"))),
        "kind": lambda f: str(f.get("kind")),
        "group": lambda f: str(f.get("group")),
        "network": lambda f: str(f.get("network_label", f.get("network"))).lower(),
        "examples": lambda f: f"{f.get('examples', 0):,} examples",
        "primal_rate": lambda f: f"primal rate {setting(f.get('primal_rate'))}",
        "dual_rate": lambda f: f"dual rate {setting(f.get('dual_rate'))}",
        "steps": lambda f: f"{f.get('steps', 0):,} steps",
        "rate": lambda f: f"learning rate {setting(f.get('rate'))}",
        "decay": lambda f: f"decay {setting(f.get('decay'))}",
        "batch": lambda f: f"batches of {f.get('batch')}" if f.get("batch") else "whole batches",
        "split": lambda f: f"{f.get('split')} split",
        "seed": lambda f: f"seed {f.get('seed')}",
    }
    names = [form_label(each) for each in facts]
    for field_name, words in further.items():
        own = field_name in ("primal_rate", "dual_rate")  # 0 for forms that keep gamma
        values = {each.get(field_name) for each in facts if not own or each.get(field_name)}
        if len(values) > 1:
            names = [
                name if own and not each.get(field_name) else f"{name}, {words(each)}"
                for name, each in zip(names, facts, strict=True)
            ]
    return names


def run_strokes(runs: Sequence[Run], theme: Theme) -> list[Stroke]:
    """Return how to draw each run; several of one form share the colour and differ in dash and
    marker.
    """
    seen: dict[str, int] = {}
    drawn = []
    for run in runs:
        look, repeat = FORMS.get(run.form, FORMS["free"]), seen.get(run.form, 0)
        seen[run.form] = repeat + 1
        # whose own dashes are nearly the first of the others
        away = repeat if run.form == "free" else repeat - 1
        dash = EXTRA_DASHES[away % len(EXTRA_DASHES)] if repeat else look.dash
        marker = EXTRA_MARKERS[(repeat - 1) % len(EXTRA_MARKERS)] if repeat else look.marker
        drawn.append(Stroke(look.colour(theme), dash, marker))
    return drawn


def layer_strokes(count: int, theme: Theme) -> list[Stroke]:
    """Return how to draw each of some layers: colours run from the first to the last, dashes tell
    them apart without colour.
    """
    stops = DEPTHS["dark" if theme == "dark" else "light"]
    places = [0.0] if count == 1 else [k / (count - 1) * (len(stops) - 1) for k in range(count)]
    return [
        Stroke(_between(stops, place), DASHES[k % len(DASHES)], "circle")
        for k, place in enumerate(places)
    ]


def _between(stops: Sequence[str], place: float) -> str:
    low = min(int(place), len(stops) - 2)
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in stops[low : low + 2]]
    return "#" + "".join(
        f"{round(a + (place - low) * (b - a)):02x}" for a, b in zip(*ends, strict=True)
    )
