"""Captions of the figures on equivariance, as they would stand in a paper."""

from __future__ import annotations

from collections.abc import Sequence

from lmc_core.equivariance.figures.alts import (
    checkpoints_alt,
    constraint_alt,
    copies_alt,
    gammas_alt,
    gauge_alt,
    losses_alt,
    paths_alt,
    phase_alt,
    plane_alt,
    price_alt,
    price_loss_alt,
    strip_alt,
)
from lmc_core.equivariance.figures.copies import copy_name
from lmc_core.equivariance.figures.data import Run, layer_title
from lmc_core.equivariance.figures.paths import lines_of
from lmc_core.equivariance.figures.price import levels_of
from lmc_core.equivariance.figures.setting import ending
from lmc_core.equivariance.figures.strip import positions_of
from lmc_core.numbers import estimate, number, percent

__all__ = [
    "checkpoints_alt",
    "checkpoints_caption",
    "constraint_alt",
    "constraint_caption",
    "copies_alt",
    "copies_caption",
    "gammas_alt",
    "gammas_caption",
    "gauge_alt",
    "gauge_caption",
    "losses_alt",
    "losses_caption",
    "paths_alt",
    "paths_caption",
    "phase_alt",
    "phase_caption",
    "plane_alt",
    "plane_caption",
    "price_alt",
    "price_caption",
    "price_loss_alt",
    "price_loss_caption",
    "strip_alt",
    "strip_caption",
]

WEIGHTS = "W(\u03b3) = P(W\u2091) + \u03b3 (I \u2212 P)(W\u2099) with P the average over the group"
BAND = "one standard error over examples"
NONE = "No run yet."


def constraint_caption(run: Run) -> str:
    """Return a caption of `constraint_figure` that would stand in a paper."""
    parts = {
        "equality": "its multiplier \u03bb, which sums up \u03b3 and so pushes it to 0",
        "resilient": "its multiplier \u03bb \u2265 0, and the slack u = \u03bb / \u03c1 within "
        "which |\u03b3| may stay",
    }
    rest = f", {parts[run.form]}," if run.form in parts else ""
    said = [
        f"The share \u03b3 of the free part of every layer{rest} during training, where the "
        f"weights are {WEIGHTS} "
        "(after Manolache, Chamon and Niepert 2025): \u03b3 = 0 is equivariant, \u03b3 = 1 the "
        "start."
    ]
    if run.form in ("free", "strict"):
        said.append(
            f"This form keeps \u03b3 at {'1' if run.form == 'free' else '0'}, so there is no "
            "multiplier."
        )
    if run.period is not None:
        said.append(
            "While the loss has no say, \u03b3 and \u03bb are an oscillator: marked is its period, "
            "2\u03c0 / \u221a(\u03b7\u03b7\u2032 \u2212 (\u03b7c / 2)\u00b2) = "
            f"{number(run.period)} steps for the primal rate "
            "\u03b7 and the dual rate \u03b7\u2032."
        )
    gamma, multiplier = run.trace("gamma"), run.trace("multiplier")
    if len(gamma) and run.form in parts:
        ends = zip(run.layers, gamma[-1], multiplier[-1], strict=True)
        said.append(
            "At the end: "
            + "; ".join(f"{n}, \u03b3 = {number(g)}, \u03bb = {number(m)}" for n, g, m in ends)
            + "."
        )
    return " ".join([*said, ending([run])])


def gammas_caption(runs: Sequence[Run], layer: int) -> str:
    """Return a caption of `gammas_figure` that would stand in a paper."""
    known = [run for run in runs if layer < len(run.layers)]
    if not known:
        return NONE
    ends = "; ".join(
        f"{run.label}: {number(float(run.trace('gamma')[-1, layer]))}"
        for run in known
        if len(run.steps)
    )
    return (
        f"The share \u03b3 of the free part, {known[0].layers[layer]}, during training; \u03b3 = "
        "0 is equivariant. At the end: "
        f"{ends}. {ending(known)}"
    )


def phase_caption(runs: Sequence[Run], layer: int) -> str:
    """Return a caption of `phase_figure` that would stand in a paper."""
    known = [
        run for run in runs if layer < len(run.layers) and run.form in ("equality", "resilient")
    ]
    if not known:
        return "Neither an unconstrained nor a strictly equivariant run has a multiplier."
    rests = {
        "equality": "The equality form rests only at \u03b3 = 0, where \u03bb = \u2212dJ/d\u03b3; "
        "a closed orbit is a "
        "constraint that rings.",
        "resilient": "The resilient form rests on the dotted line \u03bb = \u03c1|\u03b3|.",
    }
    said = " ".join(text for form, text in rests.items() if any(run.form == form for run in known))
    return (
        f"Multiplier \u03bb over share \u03b3 of the free part, {known[0].layers[layer]}: each "
        "line starts at \u03b3 = 1, "
        f"\u03bb = 0 and grows stronger with time to the mark at its end. {said} {ending(known)}"
    )


def losses_caption(run: Run) -> str:
    """Return a caption of `losses_figure` that would stand in a paper."""
    said = [
        "Mean cross-entropy on held-out and on training data with the free branch on (the network "
        "as it is) and off (its "
        "projection, \u03b3 = 0), and the error of equivariance: root mean square difference of "
        "f(gx) from g f(x) over "
        "held-out inputs and all elements g but the identity, in units of the spread of f over "
        "inputs; about "
        "10\u207b\u2077 is rounding."
    ]
    if run.finished:
        on, off = (
            f"{estimate(run.score(name), run.score(name, 'stderr'), 'nats')} "
            f"({percent(run.score(name, 'accuracy'))})"
            for name in ("on", "off")
        )
        said.append(
            f"At the end, held out: {on} with the branch on, {off} projected, \u00b1 {BAND}."
        )
    return " ".join([*said, ending([run])])


def paths_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `paths_figure` that would stand in a paper."""
    known = [(run, found[-1][1]) for run in runs if (found := lines_of(run))]
    if not known:
        return NONE
    ends = "; ".join(
        f"{run.label}: {estimate(float(line.loss[0]), float(line.stderr[0]))} and "
        f"{estimate(float(line.loss[-1]), float(line.stderr[-1]))} nats"
        for run, line in known
    )
    return (
        "Held-out loss and accuracy along the straight line in weight space from the projection "
        "P(W) to the trained network W, "
        f"that is with every \u03b3 times a share from 0 to 1; bands show {BAND}. Loss of the "
        "projection and of the network: "
        f"{ends}. {ending([run for run, _ in known])}"
    )


def checkpoints_caption(run: Run) -> str:
    """Return a caption of `checkpoints_figure` that would stand in a paper."""
    found = lines_of(run)
    if not found:
        return "No path has been measured yet."
    drops = "; ".join(
        f"after {step:,} steps {number(float(line.loss[0] - line.loss[-1]))}"
        for step, line in found
    )
    return (
        "Held-out loss and accuracy along the straight line in weight space from the projection "
        "to the network, at several "
        f"steps of one training; bands show {BAND}. What the projection costs, in nats: {drops}. "
        f"{ending([run])}"
    )


def plane_caption(run: Run) -> str:
    """Return a caption of `plane_figure` that would stand in a paper."""
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return "The plane is measured at the end of the training."
    across, up = (run.layers[int(k)] for k in run.facts["plane_layers"])
    count, loss = len(run.arrays["plane.value"]), run.arrays["plane.loss"]
    examples = (
        f" on {run.facts['plane_examples']:,} held-out examples"
        if run.facts.get("plane_examples")
        else ", held out"
    )
    return (
        f"Loss{examples} over the shares \u03b3 of the {across} (across) and the {up} (up), "
        f"{count} by {count} points from "
        f"{number(float(loss.min()))} to {number(float(loss.max()))} nats, all other shares as "
        "they are at the end; the scale "
        "of colours is logarithmic. The map belongs to the weights at the end of the training, "
        "the line shows where both "
        f"shares went during it, from 1 in both to the dot. {ending([run])}"
    )


def price_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `price_figure` that would stand in a paper."""
    known = [run for run in runs if run.finished]
    if not known:
        return NONE
    return (
        "Held-out accuracy against the error of equivariance (root mean square difference of "
        "f(gx) from g f(x), in units of "
        "the spread of f over inputs), a point for each run; resilient runs are joined in the "
        "order of their price \u03c1, the "
        "hollow circle is the projection of the unconstrained network. Bars show one standard "
        "error of the share, for which "
        f"the positions of one example count once. {ending(known)}"
    )


def price_loss_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `price_loss_figure` that would stand in a paper."""
    known, levels = [run for run in runs if run.finished], levels_of(runs)
    if not levels:
        return NONE
    several = max(level.runs for level in levels) > 1
    error = (
        "one standard error over runs, where a setting has several, else over examples"
        if several
        else BAND
    )
    ends = "; ".join(
        f"{level.name}: {estimate(level.loss, level.stderr, 'nats')}" for level in levels
    )
    return (
        "Held-out loss of the network as trained against the price \u03c1 of the resilient form, "
        "with what has no price as "
        f"horizontal lines; bars and bands show {error}. {ends}. {ending(known)}"
    )


def gauge_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `gauge_figure` that would stand in a paper."""
    known = [run for run in runs if len(run.trace("gauge"))]
    if not known:
        return NONE
    return (
        "What symmetry costs, layer by layer, at the last recorded step. Left: the gauge of "
        "asymmetry, the size of dJ/d\u03b3 "
        "of the training loss J at \u03b3 = 0 with all other weights as they are; it vanishes on "
        "data that the group maps to "
        "itself (symmetric criticality). Right: the size of the multiplier \u03bb, which at rest "
        "balances dJ/d\u03b3. Signs, "
        f"which the table has, only say which way the free part points. {ending(known)}"
    )


def strip_caption(run: Run, example: int = 0) -> str:
    """Return a caption of `strip_figure` that would stand in a paper."""
    if "strip.inputs" not in run.arrays:
        return "Inputs are followed through their positions at the end of the training."
    order, shown = run.arrays["strip.inputs"].shape[1], len(positions_of(run))
    part = f"{shown} of {order} positions" if shown < order else f"all {order} positions"
    return (
        f"One input of the {run.facts.get('split')} split in {part} of the group, and the "
        "probability that the network gives "
        "every class, with the free branch on and off; the number is that of the likeliest class, "
        "the true class is in bold. "
        f"Columns that are alike mean that the network does not mind the movement. {ending([run])}"
    )


def copies_caption(run: Run) -> str:
    """Return a caption of `copies_figure` that would stand in a paper."""
    copies = run.copies
    if copies is None:
        return (
            "This result is without moved copies."
            if run.finished
            else "Copies are compared at the end of the training."
        )
    agree = ", ".join(
        f"{layer_title(space)} {share:.0%}" for space, share in (copies.get("agree") or {}).items()
    )
    said = [
        f"Above: held-out loss on the straight line from the network f to its {copy_name(run)}, "
        "f(g\u207b\u00b9x), "
        "with hidden units where they are, matched by weights or by activations, and placed as "
        "the group acts on them; "
        f"bands show {BAND}, numbers the barrier, the largest excess over the chord (dashed) "
        "between the ends. "
        "Below: the mean of the weights of all copies. Their mean aligned by the group is the "
        "projection"
    ]
    if copies.get("group_is_projection") is not None:
        said[0] += (
            " (largest relative difference of weights "
            f"{number(float(copies['group_is_projection']), digits=2)})"
        )
    said[0] += "."
    if agree:
        said.append(
            "Share of the units that matching by weights sends where the group sends them: "
            f"{agree}."
        )
    if copies.get("function_error") is not None:
        said.append(
            "Copies compute what they should up to "
            f"{number(float(copies['function_error']), digits=2)} (relative)."
        )
    return " ".join([*said, ending([run])])
