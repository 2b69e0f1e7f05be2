"""What the figures on equivariance show, in a sentence for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmc_core.equivariance.figures.copies import LOOKS, merges_of
from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.figures.paths import lines_of
from lmc_core.equivariance.figures.price import levels_of, places_of
from lmc_core.equivariance.figures.strip import classes_of, positions_of
from lmc_core.numbers import estimate, number, percent

MOST = 900  # characters of such a sentence
EMPTY = "Empty: nothing has been measured yet."


def constraint_alt(run: Run) -> str:
    """Return what `constraint_figure` shows in a sentence."""
    gamma, multiplier = run.trace("gamma"), run.trace("multiplier")
    if not len(gamma):
        return EMPTY
    ends = "; ".join(
        f"{name} at \u03b3 {number(float(g))}, \u03bb {number(float(m))}"
        for name, g, m in zip(run.layers, gamma[-1], multiplier[-1], strict=True)
    )
    rings = (
        f" \u03b3 swings with a period of about {number(run.period)} steps." if run.period else ""
    )
    return f"Lines of the constraint by layer over {int(run.steps[-1]):,} steps, {run.label}: {ends}.{rings}"[
        :MOST
    ]


def gammas_alt(runs: Sequence[Run], layer: int) -> str:
    """Return what `gammas_figure` shows in a sentence."""
    known = [run for run in runs if layer < len(run.layers) and len(run.trace("gamma"))]
    if not known:
        return EMPTY
    ends = "; ".join(
        f"{run.label} ends at {number(float(run.trace('gamma')[-1, layer]))}" for run in known
    )
    return f"Lines of \u03b3 over the steps, {known[0].layers[layer]}: {ends}."[:MOST]


def phase_alt(runs: Sequence[Run], layer: int) -> str:
    """Return what `phase_figure` shows in a sentence."""
    known = [
        r
        for r in runs
        if layer < len(r.layers) and r.form in ("equality", "resilient") and len(r.trace("gamma"))
    ]
    if not known:
        return "Empty: no run with a multiplier."
    ends = "; ".join(
        f"{run.label} ends at \u03b3 {number(float(run.trace('gamma')[-1, layer]))}, \u03bb "
        f"{number(float(run.trace('multiplier')[-1, layer]))}{' after turning around the origin' if run.period else ''}"
        for run in known
    )
    return (
        f"Paths of \u03bb over \u03b3 from \u03b3 1, \u03bb 0, {known[0].layers[layer]}: {ends}."[
            :MOST
        ]
    )


def losses_alt(run: Run) -> str:
    """Return what `losses_figure` shows in a sentence."""
    loss, error = run.trace("loss"), run.trace("error")
    if not len(loss):
        return EMPTY
    train_on, train_off, on, off = (number(float(value)) for value in loss[-1])
    errors = " and ".join(number(float(value), digits=2) for value in error[-1])
    return (
        f"Losses over {int(run.steps[-1]):,} steps, {run.label}: held out {on} nats with the "
        f"branch on and {off} projected; "
        f"training {train_on} and {train_off}; error of equivariance {errors}."
    )


def paths_alt(runs: Sequence[Run]) -> str:
    """Return what `paths_figure` shows in a sentence."""
    known = [(run.label, found[-1][1]) for run in runs if (found := lines_of(run))]
    if not known:
        return EMPTY
    said = "; ".join(
        f"{name} from {number(float(line.loss[0]))} to {number(float(line.loss[-1]))} nats, "
        f"{percent(float(line.accuracy[0]))} to {percent(float(line.accuracy[-1]))}"
        for name, line in known
    )
    return f"Loss and accuracy from the projection to the network: {said}."[:MOST]


def checkpoints_alt(run: Run) -> str:
    """Return what `checkpoints_figure` shows in a sentence."""
    found = lines_of(run)
    if not found:
        return EMPTY
    said = "; ".join(
        f"after {step:,} steps from {number(float(line.loss[0]))} to "
        f"{number(float(line.loss[-1]))} nats"
        for step, line in found
    )
    return f"Loss and accuracy from the projection to the network of {run.label}: {said}."[:MOST]


def plane_alt(run: Run) -> str:
    """Return what `plane_figure` shows in a sentence."""
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return EMPTY
    loss, values = run.arrays["plane.loss"], run.arrays["plane.value"]
    layers = [int(k) for k in run.facts["plane_layers"]]
    row, column = np.unravel_index(loss.argmin(), loss.shape)
    lowest = ", ".join(number(float(values[k]), digits=2) for k in (row, column))
    end = ", ".join(number(float(value), digits=2) for value in run.trace("gamma")[-1, layers])
    return (
        f"Map of the loss over \u03b3 of the {run.layers[layers[0]]} and the "
        f"{run.layers[layers[1]]}, from "
        f"{number(float(loss.min()))} nats at ({lowest}) to {number(float(loss.max()))}; \u03b3 "
        f"went from (1, 1) to ({end})."
    )


def price_alt(runs: Sequence[Run]) -> str:
    """Return what `price_figure` shows in a sentence."""
    places = places_of(runs)
    if not places:
        return EMPTY
    said = "; ".join(
        f"{p.name}, {percent(p.accuracy)} at an error of {number(p.error, digits=2)}"
        for p in places
    )
    return f"Points of accuracy against the error of equivariance: {said}."[:MOST]


def price_loss_alt(runs: Sequence[Run]) -> str:
    """Return what `price_loss_figure` shows in a sentence."""
    levels = levels_of(runs)
    if not levels:
        return EMPTY
    best = min(levels, key=lambda level: level.loss)
    said = "; ".join(f"{level.name}, {estimate(level.loss, level.stderr)}" for level in levels)
    return f"Held-out loss in nats by the price \u03c1: {said}. Lowest: {best.name}."[:MOST]


def gauge_alt(runs: Sequence[Run]) -> str:
    """Return what `gauge_figure` shows in a sentence."""
    known = [run for run in runs if len(run.trace("gauge"))]
    if not known:
        return EMPTY
    said = []
    for run in known:
        pairs = zip(run.layers, run.trace("gauge")[-1], run.trace("multiplier")[-1], strict=True)
        said.append(
            f"{run.label}: "
            + "; ".join(
                f"{n} {number(float(g), digits=2)}, \u03bb {number(float(m), digits=2)}"
                for n, g, m in pairs
            )
        )
    return (
        f"Bars of the gauge of asymmetry and the multiplier by layer, in nats. {'. '.join(said)}."[
            :MOST
        ]
    )


def strip_alt(run: Run, example: int = 0) -> str:
    """Return what `strip_figure` shows in a sentence."""
    if "strip.inputs" not in run.arrays:
        return EMPTY
    classes, chosen = classes_of(run), positions_of(run)
    said = []
    for branch, words in (("strip.on", "with the branch on"), ("strip.off", "projected")):
        taken = [classes[k] for k in run.arrays[branch][example][chosen].argmax(axis=1)]
        said.append(f"{words} {', '.join(taken)}")
    label = classes[int(run.arrays["strip.labels"][example])]
    return f"One input of class {label} in {len(chosen)} positions; the network takes it for: {'; '.join(said)}."[
        :MOST
    ]


def copies_alt(run: Run) -> str:
    """Return what `copies_figure` shows in a sentence."""
    if run.copies is None:
        return "Empty: no moved copies."
    curves = run.copies["curves"]
    lines = "; ".join(
        f"{look.name} {estimate(curves[key].get('barrier'), curves[key].get('barrier_stderr'))}"
        for key, look in LOOKS.items()
        if key in curves
    )
    dots = "; ".join(f"{merge.name} {number(merge.loss)}" for merge in merges_of(run))
    return (
        f"Barriers in nats between the network and a moved copy: {lines}. Losses in nats: {dots}."[
            :MOST
        ]
    )
