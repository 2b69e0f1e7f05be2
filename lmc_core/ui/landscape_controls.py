"""The controls of the page Landscape: which models, which plane, what is aligned, on what data, how
fine, which curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from lmc_core.figures.landscape import KINDS
from lmc_core.figures.landscape_data import Landscape
from lmc_core.figures.text import Result
from lmc_core.runs.kinds.barrier import BarrierRequest
from lmc_core.runs.kinds.bend import BendRequest, bend_of
from lmc_core.runs.kinds.plane import RESOLUTIONS, PlaneRequest, plane_of
from lmc_core.runs.naming import renamed
from lmc_core.runs.partial import Unfinished
from lmc_core.ui import address, backend, catalogue
from lmc_core.ui.setting import PLAIN, Setting

Row = Mapping[str, Any]

EXAMPLES = (100, 500, 1000, None)
SPLITS = ("test", "validation", "train")
STEPS = (100, 300, 1000)
SEEDS = tuple(range(10))
SPANS = (0.25, 0.5, 1.0, 2.0)
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


def choose_kind(key: str) -> str:
    """Which plane."""
    st.subheader("Plane", anchor=False)
    address.prepare(f"{key}_plane", "plane", list(KINDS), "pair")
    return str(
        st.selectbox(
            "Plane through",
            list(KINDS),
            key=f"{key}_plane",
            format_func=KINDS.__getitem__,
            help="Three points span a plane. Random directions show the surroundings of one "
            "model, at the scale of its filters.",
        )
    )


def choose_third(pair: Sequence[Row], known: Mapping[str, Row], key: str) -> Row | None:
    """A third model that fits the other two; None when there is none."""
    names = [
        n
        for n, row in known.items()
        if n not in {each["name"] for each in pair} and _alike(row, pair[0])
    ]
    if not names:
        st.info("No third model of the same family and size is here.")
        return None
    address.prepare(f"{key}_c", "c", names, names[0])
    name = st.selectbox(
        "Model C",
        names,
        key=f"{key}_c",
        format_func=lambda n: catalogue.model_label(known[n]),
        help="It is moved like B.",
    )
    return known[str(name)]


def _alike(one: Row, other: Row) -> bool:
    return one["family"] == other["family"] and one["sizes"] == other["sizes"]


def choose_detail(kind: str, key: str) -> Choice:
    """On what data, how fine, and which curves."""
    st.subheader("How exact", anchor=False)
    address.prepare(f"{key}_resolution", "resolution", list(RESOLUTIONS), 17)
    address.prepare(f"{key}_examples", "examples", [str(n or "all") for n in EXAMPLES], "500")
    address.prepare(f"{key}_split", "split", list(SPLITS), "test")
    resolution = st.select_slider(
        "Points along a side",
        list(RESOLUTIONS),
        key=f"{key}_resolution",
        help="They are measured coarse to fine; a finer map begins with the points of the coarser "
        "one.",
    )
    examples = st.select_slider(
        "Examples",
        [str(n or "all") for n in EXAMPLES],
        key=f"{key}_examples",
        help="Every point is measured on all of them. The standard error falls with the square "
        "root of their number.",
    )
    split = st.segmented_control(
        "Split",
        list(SPLITS),
        key=f"{key}_split",
        required=True,
        width="stretch",
        help="Test and validation were not seen in training.",
    )
    seed, span, steps = 0, 1.0, None
    if kind == "random":
        address.prepare(f"{key}_seed", "seed", list(SEEDS), 0)
        address.prepare(f"{key}_span", "span", list(SPANS), 1.0)
        seed = int(st.select_slider("Seed of the directions", list(SEEDS), key=f"{key}_seed"))
        span = float(
            st.select_slider(
                "How far",
                list(SPANS),
                key=f"{key}_span",
                help="As a share of the norms of the model's filters, either way.",
            )
        )
    if kind in CURVED:
        options = ["none", *(str(n) for n in STEPS)]
        address.prepare(f"{key}_curves", "curves", options, "300")
        chosen = st.select_slider(
            "Steps that train a curve",
            options,
            key=f"{key}_curves",
            help="A quadratic Bezier curve between the models, bent by training towards low loss; "
            "none leaves curves out.",
        )
        steps = None if chosen == "none" else int(chosen)
    return Choice(
        kind,
        int(resolution),
        str(split),
        None if examples == "all" else int(examples),
        seed,
        span,
        steps,
    )


def requests_of(
    models: Sequence[Mapping[str, Any]], setting: Setting, choice: Choice, task: str
) -> tuple[PlaneRequest, BendRequest | None]:
    """The requests of the plane and, where curves are wanted, of the curves.

    Raises:
        BadInput: with the reason, when these cannot be drawn.
    """

    def asked(a: Mapping[str, Any], b: Mapping[str, Any], how: Setting) -> BarrierRequest:
        return backend.request_of((dict(a), dict(b)), how, choice.split, choice.examples, 25, task)

    if choice.kind == "random":
        alone = asked(models[0], models[0], PLAIN)
        plane = plane_of([alone], "random", choice.resolution, choice.span)
        return replace(plane, seed=choice.seed), None
    found = [asked(models[0], other, setting) for other in models[1:]]
    plane = plane_of(found, choice.kind, choice.resolution, steps=choice.steps or STEPS[1])
    wanted = choice.kind in CURVED and choice.steps is not None
    return plane, bend_of(found[0], choice.steps or STEPS[1]) if wanted else None


def scene_of(plane: PlaneRequest) -> tuple[Landscape | None, bool]:
    """What there is to draw of a plane, and whether it is finished."""
    found: Result | None = backend.stored(plane)
    if found is not None:
        arrays = backend.arrays(plane.key)
        return (Landscape.of(found, arrays), True) if arrays else (None, True)
    begun = unfinished(plane)
    return (Landscape.of(*begun), False) if begun is not None else (None, False)


def unfinished(plane: PlaneRequest) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What a plane has so far: facts, with the names asked for now, and arrays; None before its
    first point.
    """
    found = Unfinished(plane.key).read()
    if found is None or not {"u", "v", "loss", "stderr", "correct"} <= found[1].keys():
        return None
    return renamed(found[0], plane.to_json()), found[1]


def amount(choice: Choice, aligned: bool, plane: bool, curves: bool) -> str:
    """Say what is still to compute: "289 points and 600 steps of training".

    Args:
        choice: what was chosen.
        aligned: whether there is a method that aligns, and so a curve to aligned B too.
        plane: whether the plane is still to compute.
        curves: whether the curves are.
    """
    trained = (int(curves) * (1 + aligned) or int(plane and choice.kind == "bend")) * (
        choice.steps or STEPS[1]
    )
    parts = [f"{choice.resolution**2:,} points"] * plane + [
        f"{trained:,} steps of training"
    ] * bool(trained)
    return " and ".join(parts)
