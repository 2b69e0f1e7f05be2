"""A kind of computation as another package would add it, by public names alone: how far two models
are apart, parameter by parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import plotly.graph_objects as go

import lmc_core
from lmc_core import Computation, PairRequest, Picture, Progress, Stored, Table


class DistanceNumbers(TypedDict):
    """The numbers of a `DistanceRequest`."""

    models: list[str]
    references: list[str]
    digests: list[str]
    task: str
    split: str
    examples: int
    method: str
    classes: dict[str, str]
    date: str
    parameters: list[str]
    distance: float


@dataclass(frozen=True, kw_only=True)
class DistanceRequest(PairRequest):
    """The Euclidean distance of two models.

    Attributes:
        scale: what it is multiplied by.
    """

    @property
    def numbers(self) -> type[DistanceNumbers]:
        """The type of its results."""
        return DistanceNumbers

    scale: float = 1.0
    what: str = "distance"


def make_distance_request(a: str, b: str, scale: float = 1.0) -> DistanceRequest:
    """Turn what a person asked for into a request."""
    asked = lmc_core.make_request(a, b, method="none", examples=4, device="cpu")
    return DistanceRequest.of(asked, scale=scale)


def compute(
    request: DistanceRequest, progress: Progress, fresh: bool
) -> tuple[DistanceNumbers, dict[str, np.ndarray]]:
    """Compute it."""
    progress(0.0, "loading the models")
    a, b = (lmc_core.load(reference) for reference in request.models)
    parts = {name: float((tensor - b.state[name]).norm()) for name, tensor in a.state.items()}
    squares = np.array(list(parts.values())) ** 2
    numbers: DistanceNumbers = {
        "models": list(request.names),
        "references": list(request.models),
        "digests": list(request.digests),
        "task": request.task,
        "split": request.split,
        "examples": request.examples or 0,
        "method": request.method,
        "classes": {},
        "date": "2026-01-01T00:00:00+00:00",
        "parameters": list(parts),
        "distance": request.scale * float(squares.sum() ** 0.5),
    }
    return numbers, {"squares": squares}


Found = Sequence[Stored[DistanceNumbers]]


def _draw(found: Found, labels: Sequence[str], theme: str, height: int | None) -> go.Figure:
    bars = go.Bar(x=list(labels), y=[each.result["distance"] for each in found])
    return go.Figure(bars, layout={"height": height})


def _caption(found: Found, labels: Sequence[str]) -> str:
    return f"Distance of {len(found)} pairs of models in the space of parameters."


def _summarize(found: Found, labels: Sequence[str]) -> Table:
    return Table.of(
        ("Models", "Distance"),
        [(name, each.result["distance"]) for name, each in zip(labels, found, strict=True)],
    )


def _list_numbers(found: Found, labels: Sequence[str]) -> Table:
    return Table.of(
        ("Parameter", "Square of the distance"),
        [
            (name, float(square))
            for each in found
            for name, square in zip(
                each.result["parameters"], each.arrays()["squares"], strict=True
            )
        ],
    )


PICTURE = Picture(
    name="Distance",
    draw=_draw,
    caption=_caption,
    summary=_summarize,
    numbers=_list_numbers,
    headline=lambda numbers: (f"distance {numbers['distance']:.3g}", numbers["distance"]),
    setting=lambda numbers: "Distance",
    together=True,
)
COMPUTATION = Computation(
    what="distance",
    request=DistanceRequest,
    compute=compute,
    title="Distance",
    passes=lambda request, workload: 0.0,
    picture="tests.outside_kind:PICTURE",
)
PAGE = """
import streamlit as st

import lmc_core
from lmc_core.ui import messages
from lmc_core.ui.panels import show_panel
from lmc_core.ui.status import Line, show_status
from tests.outside_kind import make_distance_request

st.title("How far two models are apart")
with messages.refusing():
    request = make_distance_request({a!r}, {b!r})
    line = Line.read("distance", request)
    show_status([line], "distance")
if line.result is not None:
    for panel in lmc_core.run(request).panels():
        show_panel(panel, "distance")
"""
