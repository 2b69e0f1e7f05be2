"""Align two models: canonical rewrite of both, a matcher, the function check."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lmc_core.display import draw_trace, show
from lmc_core.errors import BadInput
from lmc_core.matching.common_form import common_form as common_form
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.method import Method
from lmc_core.matching.methods import METHODS
from lmc_core.matching.soft.search import SoftEnd
from lmc_core.matching.trace import Trace
from lmc_core.matching.widths import Places, Widened, match_widths
from lmc_core.models.common import (
    alike_untied,
    different_heads,
    in_float32,
    require_compatible,
    require_one_body,
    untied,
)
from lmc_core.models.fits import wider
from lmc_core.models.forward import few_enough, run
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows
from lmc_core.numbers import describe_change, seconds
from lmc_core.progress import Progress, part
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import rewrite_in_place
from lmc_core.symmetry.check import is_rounding, relative_difference, require_same_function
from lmc_core.symmetry.spaces import Classes, SymmetryClass, choose_classes, class_of
from lmc_core.tasks.class_order import in_order_of
from lmc_core.tasks.learning import Learning


@dataclass(frozen=True)
class AlignedPair:
    """Two models in one frame.

    Attributes:
        a: the first model in canonical form.
        b: the second, moved onto the first.
        alignment: what moved it, after its own canonical rewrite.
        trace: of the matcher's objective.
        function_error: largest relative difference of the outputs of either model before and after,
            in float32.
        seconds: what the alignment took, without the check.
        places: for models of unequal widths, by name of space, which unit of the narrow one each
            place belongs to.
        soft: of soft matching above temperature 0, the second model with its rows averaged: another
            function.
        whole: both models with all rows of their own tables, where they do not have as many; None
            where they do.
    """

    a: Model
    b: Model
    alignment: Alignment
    trace: Trace
    function_error: float
    seconds: float
    places: Mapping[str, Places] = field(default_factory=dict)
    soft: SoftEnd | None = None
    whole: tuple[Model, Model] | None = None

    def _repr_html_(self) -> str:
        """The function check and the objective, in a notebook."""
        facts = [
            ("model A", self.a.name),
            ("model B", self.b.name),
            ("function", describe_change(self.function_error)),
            ("spaces", f"{len(self.alignment.elements):,}"),
            ("time", seconds(self.seconds)),
        ]
        return show("Aligned pair", facts, draw_trace(self.trace.objective, "objective"))

    @property
    def written(self) -> tuple[Model, Model]:
        """Both models as they are written, each with its own rows."""
        return self.whole or (self.a, self.b)

    @property
    def end(self) -> Model:
        """Where the line from `a` leads: the soft end, or else `b`."""
        return self.b if self.soft is None else self.soft.model


def canonical(model: Model, classes: Classes, in_place: bool = False) -> Model:
    """Rewrite a model into canonical form for the chosen classes.

    With nothing but permutations asked for, the parameters stay as they are.

    Args:
        model: to rewrite.
        classes: chosen class of each kind of space.
        in_place: write into the model's own tensors, in their own precision (float32 at least), so
            that it is not held twice.

    Returns:
        The rewritten model, in float64 unless `in_place`.
    """
    rewrite = model.family.rewrite(model.config)
    if rewrite.tied and not rewrite.tied.stays:
        blocks = (block for block in model.layout.blocks if block.parameter == rewrite.tied.table)
        written = {axis.space for block in blocks for axis in block.axes if axis.space}
        if any(class_of(model.layout.spaces[name], classes).mixes for name in written):
            model = untied(model)
    state = {name: _working(tensor, in_place) for name, tensor in model.state.items()}
    rewrite_in_place(model.layout, model.family.rewrite(model.config), state, classes)
    return model.with_state(state)


def _working(tensor: Tensor, in_place: bool) -> Tensor:
    if not in_place:
        return tensor.to(torch.float64, copy=True, memory_format=torch.contiguous_format)
    return (
        tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    ).contiguous()


def align_pair(
    a: Model,
    b: Model,
    inputs: Tensor,
    classes: Mapping[str, str | SymmetryClass] | None = None,
    method: str = "weight",
    settings: object = None,
    masks: Mapping[str, Tensor] | None = None,
    progress: Progress = lambda share, words: None,
    in_place: bool = False,
    learning: Learning | None = None,
) -> AlignedPair:
    """Move `b` into the coordinates of `a`.

    Args:
        a: stays, up to its canonical rewrite.
        b: moves; its head may be another (`bodies`). If both are classifiers of the same classes by
            name in another order, its outputs follow those of `a` first.
        inputs: a few real examples for the function check.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        method: a name in `methods.METHODS`.
        settings: of the method, an instance of its `settings`; None for its defaults.
        masks: by parameter, the rows that count.
        progress: called with the share done and a few words; may raise to stop.
        in_place: write into the tensors of `a` and `b`, which then hold the aligned models; for
            models so large that there is no room for copies. They are of no use afterwards if this
            fails or is stopped.
        learning: examples of the training split, for methods that use data.

    Returns:
        Both models in one frame, in float32, with the measured function error.

    Raises:
        Incompatible: if the models have no common layout, or tell other classes apart.
        Inadmissible: if a class is larger than a space admits.
        FunctionChanged: if either model's outputs moved by more than rounding.
    """
    chosen_method = METHODS[method]
    if chosen_method.uses_data and learning is None:
        raise BadInput(f"The method {method} learns from data; give examples of a training split.")
    begin = time.perf_counter()
    settings = settings if settings is not None else chosen_method.settings()
    if different_heads(a, b):
        from lmc_core.matching.bodies import align_bodies  # which needs what is here

        require_one_body(a, b)
        return align_bodies(a, b, inputs, classes, chosen_method, settings, masks, progress)
    require_compatible(a, b)
    b = in_order_of(a, b)
    original = a, b
    chosen = choose_classes(a.layout.spaces, classes)
    checked = few_enough(inputs, a)
    before = [run(model, checked) for model in original]
    checking = time.perf_counter() - begin
    held = averaged = None
    if wider(*original) is None:
        wholes = [canonical(model, chosen, in_place) for model in alike_untied(original)]
        left, right = in_shared_rows(wholes)
    else:
        held, left, right = _at_one_width(
            *original, chosen, chosen_method, settings, masks, progress
        )
        wholes = [left, right]
    if held is not None and chosen_method.match_widths is not None:
        alignment, trace = held.alignment, held.trace
    else:

        def keeps(found: Alignment) -> bool:
            double = wholes[1].with_state(found.apply(wholes[1].layout, wholes[1].state))
            error = relative_difference(before[1], run(in_float32(double), checked))
            return is_rounding(
                error,
                exact=None if in_place else lambda: _in_float64(original[1:], (double,), checked),
            )

        given = MatcherInput(left, right, chosen, masks or {}, progress=progress, keeps=keeps)
        if learning is not None:
            given = replace(given, **vars(learning))
        alignment, trace = chosen_method.match(
            given if held is None else given.within(0.1, 1.0), settings
        )
        averaged = trace.soft_end(right)
        wholes[1] = wholes[1].with_state(
            alignment.apply(wholes[1].layout, wholes[1].state, in_place=True)
        )
        alignment = alignment if held is None else alignment.compose(held.alignment)
    double, single = tuple(wholes), tuple(in_float32(model) for model in wholes)
    seconds = time.perf_counter() - begin - checking
    error = max(
        relative_difference(was, run(model, checked))
        for was, model in zip(before, single, strict=True)
    )
    require_same_function(
        error, b.name, exact=None if in_place else lambda: _in_float64(original, double, checked)
    )
    places = {} if held is None else held.places
    pair = pair_of_wholes(single[0], single[1], alignment, trace, error, seconds, places)
    if averaged is None:
        return pair
    reference = before[1] if pair.whole is None else run(pair.b, checked)
    return replace(
        pair, soft=SoftEnd(averaged, relative_difference(reference, run(averaged, checked)))
    )


def pair_of_wholes(a: Model, b: Model, *facts: Any) -> AlignedPair:
    """The pair of two aligned models, of whose tables the rows that both have are compared.

    Args:
        a: with all its rows.
        b: with all its rows.
        facts: the further fields of an `AlignedPair`, in order.
    """
    left, right = in_shared_rows((a, b))
    return AlignedPair(left, right, *facts, whole=None if left is a and right is b else (a, b))


def _at_one_width(
    a: Model,
    b: Model,
    chosen: Classes,
    method: Method[object],
    settings: object,
    masks: Mapping[str, Tensor] | None,
    progress: Progress,
) -> tuple[Widened, Model, Model]:
    """Both models at the width of the wider, in canonical form and matched by their weights; `a`
    stays if it is that one.
    """
    second = bool(wider(a, b))
    narrow, wide = (canonical(untied(model), chosen) for model in ((a, b) if second else (b, a)))
    words = "matching the widths"
    if method.match_widths is not None:
        held = method.match_widths(
            narrow, wide, chosen, settings, masks, part(progress, words=words)
        )
    else:
        held = match_widths(narrow, wide, chosen, None, masks, part(progress, 0, 0.1, words))
    if second:
        return held, held.narrow, held.wide
    held = held.turned(wide)
    return held, held.wide, held.narrow


def _in_float64(before: Sequence[Model], after: Sequence[Model], inputs: Tensor) -> float:
    """The largest function error of some models in float64, as they were moved and not yet
    rounded.
    """
    pairs = zip(before, after, strict=True)
    return max(
        relative_difference(*(run(model, inputs, torch.float64) for model in pair))
        for pair in pairs
    )
