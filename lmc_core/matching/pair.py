"""Align two models: canonical rewrite of both, a matcher, the function check."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lmc_core.errors import BadInput, Incompatible
from lmc_core.matching.given import Given, Learning, Report
from lmc_core.matching.methods import get_method
from lmc_core.matching.soft import SoftEnd, SoftTrace
from lmc_core.matching.trace import Trace
from lmc_core.matching.weight import Settings
from lmc_core.matching.widths import Places, Widened, match_widths
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import rewrite_in_place
from lmc_core.symmetry.check import few_enough, is_rounding, relative_difference, require_same_function, run
from lmc_core.symmetry.fits import require_fits, same_parts, wider
from lmc_core.symmetry.spaces import Classes, SymmetryClass, choose_classes, class_of
from lmc_core.symmetry.widen import widen
from lmc_core.tasks.class_order import in_order_of


@dataclass(frozen=True)
class AlignedPair:
    """Two models in one frame.

    Attributes:
        a: the first model in canonical form.
        b: the second, moved onto the first.
        alignment: what moved it, after its own canonical rewrite.
        trace: of the matcher's objective.
        function_error: largest relative difference of the outputs of either model before and after, in float32.
        seconds: what the alignment took, without the check.
        places: for models of unequal widths, by name of space, which unit of the narrow one each place belongs to.
        soft: of soft matching above temperature 0, the second model with its rows averaged: another function.
    """

    a: Model
    b: Model
    alignment: Alignment
    trace: Trace
    function_error: float
    seconds: float
    places: Mapping[str, Places] = field(default_factory=dict)
    soft: SoftEnd | None = None

    @property
    def end(self) -> Model:
        """Where the line from `a` leads: the soft end, or else `b`."""
        return self.b if self.soft is None else self.soft.model


def require_compatible(a: Model, b: Model) -> None:
    """Raise `Incompatible`, naming the first difference, unless both models have the same layout and compute alike.

    Of unequal widths the wider has to have room for the other in all its spaces.
    """
    if a.family.name != b.family.name:
        raise Incompatible(f"{a.name} is a {a.family.name} and {b.name} a {b.family.name}; choose two models of one family.")
    if same_parts(a, b) and (second := wider(a, b)) is not None:
        require_fits(*((a, b) if second else (b, a)))
        return
    left, right = a.family.sizes(a.config), b.family.sizes(b.config)
    for key, value in left.items():
        if right[key] != value:
            raise Incompatible(
                f"{a.name} has {key} {value} and {b.name} has {key} {right[key]}; choose two models of the same sizes."
            )
    left, right = ({n: tuple(t.shape) for n, t in untied(m).state.items()} for m in (a, b))
    for name in sorted(left.keys() ^ right.keys()):
        raise Incompatible(f"Only one of {a.name} and {b.name} has the parameter {name!r}; choose two of one architecture.")
    for name, shape in left.items():
        if right[name] != shape:
            raise Incompatible(
                f"{name!r} has shape {list(shape)} in {a.name} and {list(right[name])} in {b.name}; choose two alike."
            )
    for key, value, other in _settings_of_both(a.config, b.config):
        if value != other:
            raise Incompatible(f"{a.name} has {key}={value} and {b.name} has {key}={other}; choose two that compute alike.")


def _settings_of_both(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Entries that both configurations have, with both values; a tied head and names of special tokens may differ."""
    for key in sorted(a.keys() & b.keys() - {"tie_word_embeddings", "bos_token_id", "eos_token_id"}):
        if isinstance(a[key], Mapping) and isinstance(b[key], Mapping):
            yield from _settings_of_both(a[key], b[key])
        else:
            yield key, a[key], b[key]


def untied(model: Model) -> Model:
    """The same model with a head of its own where it shared the token table; otherwise the model itself."""
    tied = model.family.rewrite(model.config).tied
    if tied is None:
        return model
    table = model.state[tied.table]
    if tied.scale != 1 and table.dtype in (torch.bfloat16, torch.float16):
        table = table.float()  # or the product would be rounded
    return replace(
        model,
        config={**model.config, **dict(tied.config)},
        state={**model.state, tied.head: table * tied.scale},
    )


def common_form(a: Model, b: Model) -> tuple[Model, Model]:
    """Both models, untied if either is, so that they have the same parameters, with the classes in the order of the first.

    Of unequal widths the narrower is widened by appending zeros to what it has, as coordinates, units and heads are numbered;
    nothing is matched.

    Raises:
        Incompatible: if they have no common layout, and neither holds the other; or if they tell other classes apart.
    """
    require_compatible(a, b)
    b = in_order_of(a, b)
    if (second := wider(a, b)) is not None:
        narrow, wide = (a, b) if second else (b, a)
        widened, wide = in_float32(widen(narrow, wide.config)), untied(wide)
        return (widened, wide) if second else (wide, widened)
    return (a, b) if a.state.keys() == b.state.keys() else (untied(a), untied(b))


def canonical(model: Model, classes: Classes, in_place: bool = False) -> Model:
    """Rewrite a model into canonical form for the chosen classes.

    With nothing but permutations asked for, the parameters stay as they are.

    Args:
        model: to rewrite.
        classes: chosen class of each kind of space.
        in_place: write into the model's own tensors, in their own precision (float32 at least), so that it is not held twice.

    Returns:
        The rewritten model, in float64 unless `in_place`.
    """
    rewrite = model.family.rewrite(model.config)
    mixes = any(class_of(space, classes).mixes for space in model.layout.spaces.values() if space.kind == "residual")
    if mixes and rewrite.tied and not rewrite.tied.stays:
        model = untied(model)
    state = {name: _working(tensor, in_place) for name, tensor in model.state.items()}
    rewrite_in_place(model.layout, model.family.rewrite(model.config), state, classes)
    return model.with_state(state)


def _working(tensor: Tensor, in_place: bool) -> Tensor:
    if not in_place:
        return tensor.to(torch.float64, copy=True, memory_format=torch.contiguous_format)
    return (tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()).contiguous()


def align_pair(
    a: Model,
    b: Model,
    inputs: Tensor,
    classes: Mapping[str, str | SymmetryClass] | None = None,
    method: str = "weight",
    settings: Any = None,
    masks: Mapping[str, Tensor] | None = None,
    progress: Report = lambda share, words: None,
    in_place: bool = False,
    learning: Learning | None = None,
) -> AlignedPair:
    """Move `b` into the coordinates of `a`.

    Args:
        a: stays, up to its canonical rewrite.
        b: moves. If both are classifiers of the same classes by name in another order, its outputs follow those of `a` first.
        inputs: a few real examples for the function check.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        method: a name in `methods.METHODS`.
        settings: of the method, an instance of its `settings`; None for its defaults.
        masks: by parameter, the rows that count.
        progress: called with the share done and a few words; may raise to stop.
        in_place: write into the tensors of `a` and `b`, which then hold the aligned models; for models so large that there
            is no room for copies. They are of no use afterwards if this fails or is stopped.
        learning: examples of the training split, for methods that use data.

    Returns:
        Both models in one frame, in float32, with the measured function error.

    Raises:
        Incompatible: if the models have no common layout, or tell other classes apart.
        Inadmissible: if a class is larger than a space admits.
        FunctionChanged: if either model's outputs moved by more than rounding.
    """
    chosen_method = get_method(method)
    if chosen_method.uses_data and learning is None:
        raise BadInput(f"The method {method} learns from data; give examples of a training split.")
    begin = time.perf_counter()
    settings = settings if settings is not None else chosen_method.settings()
    require_compatible(a, b)
    b = in_order_of(a, b)
    original = a, b
    a, b = common_form(a, b)
    chosen = choose_classes(a.layout.spaces, classes)
    checked = few_enough(inputs, a)
    before = [run(model, checked) for model in original]
    checking = time.perf_counter() - begin
    held = averaged = None
    if wider(*original) is None:
        left, right = canonical(a, chosen, in_place), canonical(b, chosen, in_place)
    else:
        held, left, right = _at_one_width(*original, chosen, settings, masks, progress)
    if held is not None and method == "weight":
        alignment, trace, moved = held.alignment, held.trace, right
    else:

        def keeps(found: Alignment) -> bool:
            double = right.with_state(found.apply(right.layout, right.state))
            error = relative_difference(before[1], run(in_float32(double), checked))
            return is_rounding(error, exact=None if in_place else lambda: _in_float64(original[1:], (double,), checked))

        given = Given(left, right, chosen, masks or {}, progress=progress, keeps=keeps)
        if learning is not None:
            given = replace(given, **vars(learning))
        alignment, trace = chosen_method.match(given if held is None else given.within(0.1, 1.0), settings)
        averaged = trace.averaged(right) if isinstance(trace, SoftTrace) else None
        moved = right.with_state(alignment.apply(right.layout, right.state, in_place=True))
        alignment = alignment if held is None else alignment.compose(held.alignment)
    double, (left, moved) = (left, moved), (in_float32(left), in_float32(moved))
    seconds = time.perf_counter() - begin - checking
    error = max(relative_difference(was, run(model, checked)) for was, model in zip(before, (left, moved), strict=True))
    require_same_function(error, b.name, exact=None if in_place else lambda: _in_float64(original, double, checked))
    soft = None if averaged is None else SoftEnd(averaged, relative_difference(before[1], run(averaged, checked)))
    return AlignedPair(left, moved, alignment, trace, error, seconds, {} if held is None else held.places, soft)


def _at_one_width(
    a: Model, b: Model, chosen: Classes, settings: Any, masks: Mapping[str, Tensor] | None, progress: Report
) -> tuple[Widened, Model, Model]:
    """Both models at the width of the wider, in canonical form and matched by their weights; `a` stays if it is that one."""
    second = bool(wider(a, b))
    narrow, wide = (canonical(untied(model), chosen) for model in ((a, b) if second else (b, a)))
    alone = isinstance(settings, Settings)

    def tell(share: float) -> None:
        progress(share if alone else 0.1 * share, "matching the widths")

    held = match_widths(narrow, wide, chosen, settings if alone else None, masks, tell)
    if second:
        return held, held.narrow, held.wide
    held = held.turned(wide)
    return held, held.wide, held.narrow


def _in_float64(before: Sequence[Model], after: Sequence[Model], inputs: Tensor) -> float:
    """The largest function error of some models in float64, as they were moved and not yet rounded."""
    pairs = zip(before, after, strict=True)
    return max(relative_difference(*(run(model, inputs, torch.float64) for model in pair)) for pair in pairs)


def in_float32(model: Model) -> Model:
    """The same model with parameters in float32."""
    return model.with_state({name: tensor.float() for name, tensor in model.state.items()})
