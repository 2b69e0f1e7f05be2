"""Audit a family's layout on one model: is the function kept, is what was moved found again, does a
wrong move show?

For whoever writes a layout of their own, and for the table in docs/families.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmc_core.matching.aligned import canonical
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.describe import dimension
from lmc_core.models.forward import run
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes, class_of, kinds_of


@dataclass(frozen=True)
class Audit:
    """What was measured of one model.

    Attributes:
        classes: kind of space -> the largest admissible class.
        double: largest relative difference of the outputs in float64, after the canonical rewrite
            and a random element of the largest class of every space.
        single: the same in float32.
        recovered: largest difference of the parameters, relative to the largest of them, after
            weight matching has brought a moved copy back onto the model.
        control: smallest of the differences of the outputs when, for one kind of space at a time,
            one reader is left behind where everything else moves; large for a layout that is right.
        dimension: of the continuous symmetry group.
    """

    classes: dict[str, str]
    double: float
    single: float
    recovered: float
    control: float
    dimension: int


def audit(model: Model, inputs: Tensor, seed: int = 0) -> Audit:
    """Measure what `Audit` says.

    Args:
        model: in float64, at parameters in general position.
        inputs: a few examples.
        seed: of the random elements.
    """
    chosen = choose_classes(model.layout.spaces)
    before = {dtype: run(model, inputs, dtype) for dtype in (torch.float64, torch.float32)}
    form = canonical(model, chosen)
    layout = form.layout
    element = Alignment.random(layout.spaces, chosen, torch.Generator().manual_seed(seed))
    moved = form.with_state(element.apply(layout, form.state))
    errors = {
        dtype: relative_difference(before[dtype], run(moved, inputs, dtype)) for dtype in before
    }
    again = canonical(moved, chosen)
    found, _ = match_weights(layout, form.state, again.state, chosen)
    back = found.apply(layout, again.state)
    largest = max(float(tensor.abs().max()) for tensor in form.state.values())
    recovered = (
        max(float((back[name] - tensor).abs().max()) for name, tensor in form.state.items())
        / largest
    )
    return Audit(
        {kind: classes[-1].value for kind, classes in kinds_of(layout.spaces).items()},
        errors[torch.float64],
        errors[torch.float32],
        recovered,
        _control(form, before[torch.float64], inputs, seed),
        sum(dimension(model).values()),
    )


def _control(form: Model, before: Tensor, inputs: Tensor, seed: int) -> float:
    """Move one kind of space at a time but leave one of its blocks behind."""
    layout = form.layout
    smallest = float("inf")
    for kind, classes in kinds_of(layout.spaces).items():
        if classes[-1] is SymmetryClass.NONE:
            continue
        alone = dict.fromkeys(kinds_of(layout.spaces), SymmetryClass.NONE) | {kind: classes[-1]}
        names = [
            s.name
            for s in layout.spaces.values()
            if s.kind == kind and class_of(s, alone) is not SymmetryClass.NONE
        ]
        behind = next(
            block for block in layout.blocks if any(axis.space == names[0] for axis in block.axes)
        )
        only, wrong = (
            replace(layout, blocks=tuple(b for b in layout.blocks if (b is behind) == kept))
            for kept in (True, False)
        )
        errors: list[float] = []
        # small permutations are often the identity, and some experts are never asked
        for draw in range(seed, seed + 50):
            element = Alignment.random(layout.spaces, alone, torch.Generator().manual_seed(draw))
            there = behind.parameter
            if not torch.allclose(
                element.apply(only, form.state)[there], form.state[there], atol=1e-3
            ):
                outputs = run(
                    form.with_state(element.apply(wrong, form.state)), inputs, torch.float64
                )
                errors.append(relative_difference(before, outputs))
            if len(errors) == 3:
                break
        smallest = min(smallest, max(errors, default=float("inf")))
    return smallest
