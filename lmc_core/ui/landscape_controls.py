"""The controls of the page Landscape: which models, which plane, what is aligned, on what data, how
fine, which curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st

from lmc_core.figures.landscape import KINDS
from lmc_core.figures.landscape_data import Landscape
from lmc_core.models.listing import Row
from lmc_core.runs.computation import rename
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.requests.bend import BendRequest, make_bend_request
from lmc_core.runs.requests.plane import RESOLUTIONS, PlaneRequest, choose_plane
from lmc_core.ui import backend, current
from lmc_core.ui.catalogue import Known, Pair
from lmc_core.ui.controls import (
    SQUARE_ROOT,
    find_alike,
    make_examples,
    make_model,
    make_split,
    read_count,
    show_chosen,
)
from lmc_core.ui.options import NONE, Option
from lmc_core.ui.requests import make_barrier
from lmc_core.ui.setting import PLAIN, Setting

if TYPE_CHECKING:
    from lmc_core.runs.requests.plane import PlaneFacts, PlaneNumbers

PLANE = Option(
    "plane",
    "Plane through",
    list(KINDS),
    "bend",
    "Three points span a plane. Random directions show the surroundings of one model, at the "
    "scale of its filters.",
    "list",
    KINDS.__getitem__,
)
RESOLUTION = Option(
    "resolution",
    "Points along a side",
    RESOLUTIONS,
    17,
    "They are measured coarse to fine; a finer map begins with the points of the coarser one.",
)
EXAMPLES = make_examples(
    (100, 500, 1000, None), "500", f"Every point is measured on all of them. {SQUARE_ROOT}"
)
SPLIT = make_split(
    ("test", "validation", "train"), "Test and validation were not seen in training."
)
SEED = Option("seed", "Seed of the directions", range(10), 0)
SPAN = Option(
    "span",
    "How far",
    (0.25, 0.5, 1.0, 2.0),
    1.0,
    "As a share of the norms of the model's filters, either way.",
)
USUAL = 300  # steps that train a bend
CURVES = Option(
    "curves",
    "Steps that train a curve",
    (NONE, "100", str(USUAL), "1000"),
    str(USUAL),
    "A quadratic Bezier curve between the models, bent by training towards low loss; none leaves "
    "curves out.",
)
CURVED = ("pair", "bend")  # kinds of plane beside which curved paths are compared


@dataclass(frozen=True)
class Choice:
    """What was chosen besides models and setting.

    Attributes:
        kind: of plane.
        resolution: points along a side.
        split: of the data.
        examples: how many; None for all.
        seed: of random directions.
        span: of random directions.
        steps: that train a curve's bend; None for no curves.
    """

    kind: str
    resolution: int
    split: str
    examples: int | None
    seed: int = 0
    span: float = 1.0
    steps: int | None = None

    @property
    def address(self) -> dict[str, str | None]:
        """As query parameters."""
        random = self.kind == "random"
        return {
            "plane": self.kind,
            "resolution": str(self.resolution),
            "split": self.split,
            "examples": str(self.examples or "all"),
            "seed": str(self.seed) if random else None,
            "span": str(self.span) if random else None,
            "curves": str(self.steps or "none") if self.kind in CURVED else None,
        }


def choose_third(pair: Pair, known: Known, key: str) -> Row | None:
    """A third model that fits the other two; None when there is none."""
    names = [name for name in find_alike(known, pair[0]["name"]) if name != pair[1]["name"]]
    if not names:
        st.info("No third model of the same family and size is here.")
        return None
    now = current.read()
    usual = now[2] if len(now) > 2 and now[2] in names else names[0]
    option = make_model("c", "Model C", known, names, usual, "It is moved like B.")
    third = option.show(key)
    show_chosen({"C": third}, known)
    current.keep([pair[0]["name"], pair[1]["name"], third])
    return known[third]


def choose_detail(kind: str, key: str) -> Choice:
    """On what data, how fine, and which curves."""
    resolution, examples, split = RESOLUTION.show(key), EXAMPLES.show(key), SPLIT.show(key)
    seed, span, steps = 0, 1.0, None
    if kind == "random":
        seed, span = SEED.show(key), SPAN.show(key)
    if kind in CURVED:
        curves = CURVES.show(key)
        steps = None if curves == NONE else int(curves)
    return Choice(kind, resolution, split, read_count(examples), seed, span, steps)


def make_requests(
    models: Sequence[Row], setting: Setting, choice: Choice, task: str
) -> tuple[PlaneRequest, BendRequest | None]:
    """The requests of the plane and, where curves are wanted, of the curves.

    Raises:
        BadInput: with the reason, when these cannot be drawn.
    """

    def asked(a: Row, b: Row, how: Setting) -> BarrierRequest:
        return make_barrier((a, b), how, choice.split, choice.examples, 25, task)

    if choice.kind == "random":
        alone = asked(models[0], models[0], PLAIN)
        plane = choose_plane([alone], "random", choice.resolution, choice.span)
        return replace(plane, seed=choice.seed), None
    found = [asked(models[0], other, setting) for other in models[1:]]
    plane = choose_plane(found, choice.kind, choice.resolution, steps=choice.steps or USUAL)
    wanted = choice.kind in CURVED and choice.steps is not None
    return plane, make_bend_request(found[0], choice.steps or USUAL) if wanted else None


def read_scene(plane: PlaneRequest) -> tuple[Landscape | None, bool]:
    """What there is to draw of a plane, and whether it is finished."""
    found = cast("PlaneNumbers | None", backend.stored(plane))
    if found is not None:
        arrays = backend.arrays(plane.key)
        return (Landscape.of(found, arrays), True) if arrays else (None, True)
    begun = read_begun(plane)
    return (Landscape.of(*begun), False) if begun is not None else (None, False)


def read_begun(plane: PlaneRequest) -> tuple[PlaneFacts, dict[str, np.ndarray]] | None:
    """What a plane has so far: facts, with the names asked for now, and arrays; None before its
    first point.
    """
    found = backend.unfinished(plane.key)
    if found is None or not {"u", "v", "loss", "stderr", "correct"} <= found[1].keys():
        return None
    return cast("PlaneFacts", rename(dict(found[0]), plane.to_json())), found[1]


def amount(choice: Choice, aligned: bool, plane: bool, curves: bool) -> str:
    """Say what is still to compute: "289 points and 600 steps of training".

    Args:
        choice: what was chosen.
        aligned: whether there is a method that aligns, and so a curve to aligned B too.
        plane: whether the plane is still to compute.
        curves: whether the curves are.
    """
    trained = (int(curves) * (1 + aligned) or int(plane and choice.kind == "bend")) * (
        choice.steps or USUAL
    )
    parts = [f"{choice.resolution**2:,} points"] * plane + [
        f"{trained:,} steps of training"
    ] * bool(trained)
    return " and ".join(parts)
