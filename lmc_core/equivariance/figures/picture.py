"""How trainings towards equivariance are shown, in words: lists of results load no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmc_core.figures.panel import Picture, later
from lmc_core.figures.text import Result
from lmc_core.numbers import number

FORM_NAMES = {
    "free": "unconstrained",
    "strict": "strictly equivariant",
    "equality": "equality",
    "resilient": "resilient",
}
HERE = "lmc_core.equivariance.figures"


def form_label(facts: Mapping[str, Any]) -> str:
    """Return the form with its own setting: "Resilient, ρ = 0.1", "Equality, c = 2",
    "Unconstrained".
    """
    form = str(facts.get("form", facts.get("method", "free")))
    if form == "resilient" and facts.get("price") is not None:
        return f"Resilient, \u03c1 = {setting(facts.get('price'))}"
    if form == "equality" and facts.get("augmented") is not None:
        return f"Equality, c = {setting(facts.get('augmented'))}"
    return form_name(form)


def form_name(form: str) -> str:
    """Return a form for people: "Strictly equivariant"."""
    name = FORM_NAMES.get(form, form)
    return name[:1].upper() + name[1:]


def setting(value: float | None) -> str:
    """Return a setting as a person would type it: "0.1", "2"."""
    return f"{float(value or 0):g}"


def headline(result: Result) -> tuple[str, float]:
    """Return the held-out loss of the network, and of its projection."""
    on, off = (float(result[name]["loss"]) for name in ("on", "off"))
    return f"{number(on)} \u2192 {number(off)} nats projected", off


PICTURE = Picture(
    name="Equivariance",
    draw=later(f"{HERE}.panels:draw"),
    caption=later(f"{HERE}.panels:caption"),
    summary=later(f"{HERE}.panels:summary"),
    numbers=later(f"{HERE}.panels:numbers"),
    headline=headline,
    setting=form_label,
    labels=later(f"{HERE}.data:label_runs"),
    together=True,
)
