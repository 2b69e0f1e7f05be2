"""Carry a fine-tuning from one model to another: the difference of a base and its fine-tuning is
moved by the map that aligns the base with the target, and a share of it is added to the target.

    theta_1' = theta_1 + share * T (theta_f - theta_0),    T = E_1^-1 g^-1 E_0

in coordinates without gains (`symmetry.differences`). E_0 and E_1 balance the base and the target
as their alignment did (`symmetry.shares`), of the fine-tuned model with the maps of the base; g
moves the target onto the base. Every factor acts linearly on parameters, so the difference moves by
the same map as the models. Where the target is the base in other coordinates, the result at share 1
computes what the fine-tuned model does.

Task vectors: Ilharco et al. 2023, arXiv 2212.04089; moved between models by permutations: Rinaldi
et al. 2025, arXiv 2505.22697.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmc_core.limits import require_numbers
from lmc_core.matching.align import align
from lmc_core.matching.aligned import AlignedPair, untied_for
from lmc_core.matching.many import whole_forms
from lmc_core.models.mixing import shared_card
from lmc_core.models.model import Model
from lmc_core.models.rows import extended, in_shared_rows
from lmc_core.progress import Progress, ignore
from lmc_core.symmetry.differences import add_difference, folded
from lmc_core.symmetry.layout import State
from lmc_core.symmetry.shares import find_shares
from lmc_core.symmetry.spaces import Classes, SymmetryClass, choose_classes
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples

ROUNDING = 1e-5  # relative, above which a form differs by more than rounding in float32


@dataclass(frozen=True)
class MovedDifference:
    """What a fine-tuning changed, in the coordinates of another model.

    Attributes:
        target: the model that it is added to, as it was given.
        whole: the same with a head of its own where the difference needs one.
        short: of this the rows that all models have.
        values: the moved difference of the forms without gains, by parameter, float64.
        unmoved: the same before it was moved.
        classes: chosen class of each kind of space.
        name: of the fine-tuned model.
    """

    target: Model
    whole: Model
    short: Model
    values: Mapping[str, Tensor]
    unmoved: Mapping[str, Tensor]
    classes: Classes
    name: str

    @property
    def length(self) -> float:
        """Its Euclidean length over all parameters."""
        return _length(self.values)

    @property
    def cosine(self) -> float | None:
        """Of the moved and the unmoved difference; None where nothing was learned."""
        lengths = self.length * _length(self.unmoved)
        product = sum(float((self.values[n] * each).sum()) for n, each in self.unmoved.items())
        return product / lengths if lengths else None

    def at(self, share: float, moved: bool = True, dtype: torch.dtype = torch.float32) -> Model:
        """The target with a share of the difference added; at share 0 the target itself.

        Args:
            share: of the difference.
            moved: False for the difference as it was before it was moved, to compare with.
            dtype: of the parameters.
        """
        require_numbers(share=share)
        if share == 0:
            return self.target
        difference = self.values if moved else self.unmoved
        state = add_difference(
            self.short.layout,
            self.short.family.rewrite(self.short.config),
            self.short.state,
            {name: share * each for name, each in difference.items()},
            self.classes,
        )
        single = {name: tensor.to(dtype) for name, tensor in state.items()}
        title = f"{self.target.name} + {share:g} of {self.name}"
        found = replace(self.short, state=single, name=title)
        return extended(found, self.whole).check()


def transport(
    base: Model,
    finetuned: Model,
    target: Model,
    examples: Examples | None = None,
    *,
    share: float = 0.5,
    method: str = "weight",
    settings: Mapping[str, object] | None = None,
    classes: Mapping[str, str | SymmetryClass] | None = None,
    train: Examples | Learning | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = ignore,
) -> Model:
    """Add a share of what a fine-tuning of `base` changed to `target`, moved by their alignment.

    >>> import lmc_core
    >>> base, target = lmc_core.load("zoo:vit-fashion-s0"), lmc_core.load("zoo:vit-fashion-s1")
    >>> tuned = base.with_state({name: 1.01 * tensor for name, tensor in base.state.items()})
    >>> lmc_core.transport(base, tuned, target, share=0.3).name
    'vit-fashion-s1 + 0.3 of vit-fashion-s0'

    Args:
        base: that was fine-tuned.
        finetuned: what came of it; the same architecture.
        target: another model of that architecture, of another seed.
        examples: the function check runs on the first 16; random inputs by default.
        share: of the difference that is added; 0 returns the target as it is.
        method: of the alignment, a name in `METHODS`.
        settings: of the method, by name, where they differ from its defaults.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        train: examples of the training split, for methods that use data.
        seed: of everything that is drawn.
        device: where models are matched and run.
        progress: told the share done and a few words; may raise to stop.

    Returns:
        A model of the target's class, in float32 and in the target's own coordinates; classes that
        are named stand in the order of the base.

    Raises:
        UnknownName: for a method or a setting that there is not.
        BadInput: for a method that uses data without `train`, or a share that is no number.
        Incompatible: if the models have no common layout, or are not of one width.
        FunctionChanged: if an alignment moved outputs by more than rounding.
    """
    _require_movable([base, finetuned, target], share)
    pair = align(
        base,
        target,
        examples,
        method=method,
        settings=settings,
        classes=classes,
        train=train,
        seed=seed,
        device=device,
        progress=progress,
    )
    return move_difference(base, finetuned, target, pair, classes).at(share)


def _require_movable(models: Sequence[Model], share: float) -> None:
    """Refuse models and shares that nothing can be made of, before anything is matched."""
    require_numbers(share=share)
    whole_forms(models)


def move_difference(
    base: Model,
    finetuned: Model,
    target: Model,
    pair: AlignedPair,
    classes: Mapping[str, str | SymmetryClass] | None = None,
) -> MovedDifference:
    """Move what a fine-tuning of `base` changed into the coordinates of `target`.

    Args:
        base: that was fine-tuned.
        finetuned: what came of it.
        target: another model of that architecture.
        pair: the target moved onto the base, `align(base, target)`.
        classes: that were chosen for it.

    Raises:
        Incompatible: if the models have no common layout, or the pair is that of other models.
    """
    # in the base's order of classes, as the pair is; the target's own layout first
    *sources, last = whole_forms([base, finetuned, target])
    given = [last, *sources]
    chosen = choose_classes(given[0].layout.spaces, classes)
    wholes = [untied_for(model, chosen) for model in given]
    shorts = in_shared_rows(wholes)
    layout, rewrite = shorts[0].layout, shorts[0].family.rewrite(shorts[0].config)
    there, here, tuned = (folded(layout, rewrite, model.state, chosen) for model in shorts)
    first = find_shares(layout, rewrite, here, chosen, pair.a.state)
    back = pair.alignment.inverse()
    balanced = back.apply(layout, {n: t.double() for n, t in pair.b.state.items()})
    second = find_shares(layout, rewrite, there, chosen, balanced)
    unmoved = {name: tuned[name] - tensor for name, tensor in here.items()}
    starts = {name: tensor.clone() for name, tensor in there.items()}
    for shares, state in ((first, tuned), (first, here), (second, starts)):
        shares.apply(layout, state)
    _leave_unused(here, pair.a.state)
    _leave_unused(starts, balanced)
    difference = {name: tuned[name] - tensor for name, tensor in here.items()}
    moved = back.apply(layout, difference, in_place=True)
    for name, tensor in starts.items():
        moved[name] += tensor
    second.undo(layout, moved)
    for name, tensor in there.items():
        moved[name] -= tensor
    card = shared_card([target])
    shown = replace(wholes[0], card=card)
    return MovedDifference(
        target, shown, replace(shorts[0], card=card), moved, unmoved, chosen, finetuned.name
    )


def _leave_unused(mapped: dict[str, Tensor], canonical: State) -> None:
    """Take parameters as a canonical form has them where no map leads there: what one side of a
    plane has and the other does not read is left out of it. A fine-tuning may begin to read it.
    """
    for name, tensor in canonical.items():
        exact = tensor.double()
        if float((mapped[name] - exact).norm()) > ROUNDING * float(exact.norm()):
            mapped[name] = exact.clone()


def _length(difference: Mapping[str, Tensor]) -> float:
    squares = [float(each.square().sum()) for each in difference.values()]
    return sum(squares) ** 0.5
