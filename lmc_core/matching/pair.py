"""Align two models: canonical rewrite of both, a matcher, the function check."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.aligned import (
    AlignedPair,
    SoftEnd,
    brought_to_search,
    canonical,
    find_exact_device,
    pair_of_wholes,
)
from lmc_core.matching.bodies import align_bodies
from lmc_core.matching.function_check import FunctionCheck
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.method import Method
from lmc_core.matching.methods import METHODS
from lmc_core.matching.trace import Trace
from lmc_core.matching.widened import Places, Widened
from lmc_core.matching.widths import match_widths
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
from lmc_core.models.lazy import is_lazy
from lmc_core.models.model import Model
from lmc_core.models.moved import move
from lmc_core.models.rows import in_shared_rows
from lmc_core.progress import Progress, part
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import find_device
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.spaces import Classes, SymmetryClass, choose_classes
from lmc_core.tasks.class_order import in_order_of
from lmc_core.tasks.learning import Learning


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
    device: str = "cpu",
    seed: int = 0,
    checkpoint: Path | None = None,
    start: Alignment | None = None,
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
            models so large that there is no room for copies. Parameters in half precision are taken
            out of them. They are of no use afterwards if this fails or is stopped.
        learning: examples of the training split, for methods that use data.
        device: where both models are brought, matched and run; assignments alone are solved on the
            CPU.
        seed: of what methods draw that get no `learning`, which has its own.
        checkpoint: file that an interrupted run of such a method goes on from.
        start: what moves `b` near `a` after the canonical rewrite, by maps that keep lengths, as
            matching finds them; the search begins there, for methods that have `on_the_way`, and
            two models of one width with one kind of head (`chain`).

    Returns:
        Both models in one frame, in float32 and on the CPU, with the measured function error.

    Raises:
        Incompatible: if the models have no common layout, or tell other classes apart.
        Inadmissible: if a class is larger than a space admits.
        FunctionChanged: if either model's outputs moved by more than rounding.
    """
    chosen_method, configured = _choose_method(method, settings, learning)
    if different_heads(a, b):
        require_one_body(a, b)
        return align_bodies(
            a, b, inputs, classes, chosen_method, configured, masks, progress, device
        )
    begin = time.perf_counter()
    require_compatible(a, b)
    check = FunctionCheck((a, in_order_of(a, b)), few_enough(inputs, a), in_place, device)
    chosen = choose_classes(a.layout.spaces, classes)
    drawn = learning or Drawn(str(check.inputs.device), checkpoint, seed)
    found = _match(check, chosen, chosen_method, configured, masks, progress, drawn, start)
    return _close(found, check, begin)


def _choose_method(
    name: str, settings: object, learning: Learning | None
) -> tuple[Method[object], object]:
    """A method and its settings, by default its own; `BadInput` if it learns and has no data."""
    method: Method[object] = METHODS[name]
    if method.uses_data and learning is None:
        raise BadInput(f"The method {name} learns from data; give examples of a training split.")
    return method, settings if settings is not None else method.settings()


def _close(found: _Match, check: FunctionCheck, begin: float) -> AlignedPair:
    """Check the functions of what was matched, and gather it in float32 and on the CPU.

    Args:
        found: what was matched.
        check: of the outputs before.
        begin: when this alignment began, as `time.perf_counter` counts.
    """
    single = [in_float32(model) for model in found.wholes]
    spent = time.perf_counter() - begin - check.seconds
    error = max(check.require(found.wholes, single))
    a, b = (in_float32(model, "cpu") for model in single)
    alignment, bend = found.alignment.to("cpu"), found.trace.displacement()
    pair = pair_of_wholes(a, b, alignment, found.trace, error, spent, found.places, bend=bend)
    return pair if found.averaged is None else _add_soft_end(pair, found.averaged, check)


def _add_soft_end(pair: AlignedPair, averaged: Model, check: FunctionCheck) -> AlignedPair:
    """A pair with an end whose rows are averages, and how far its outputs are from those of B."""
    reference = check.before[1] if pair.whole is None else run(pair.b, check.inputs)
    moved = relative_difference(reference, run(averaged, check.inputs))
    return replace(pair, soft=SoftEnd(in_float32(averaged, "cpu"), moved))


@dataclass(frozen=True)
class Drawn:
    """What methods know that learn from no examples of a training split; as in `Learning`."""

    device: str
    checkpoint: Path | None
    seed: int


@dataclass(frozen=True)
class _Match:
    """Both models with all their rows where they were brought, and how."""

    wholes: list[Model]
    alignment: Alignment
    trace: Trace
    places: Mapping[str, Places]
    averaged: Model | None = None


def _match(
    check: FunctionCheck,
    chosen: Classes,
    method: Method[object],
    settings: object,
    masks: Mapping[str, Tensor] | None,
    progress: Progress,
    drawn: Learning | Drawn,
    start: Alignment | None = None,
) -> _Match:
    """Rewrite both models, bring them to one width, and move the second by the method."""
    held, (a, b) = None, check.models
    device = check.inputs.device
    there = find_exact_device(device, check.in_place)
    if wider(a, b) is None:
        forms = alike_untied(check.models)
        wholes = [canonical(model, chosen, check.in_place, there) for model in forms]
        left, right = in_shared_rows([brought_to_search(model, device) for model in wholes])
    else:
        held, *wholes = _at_one_width(a, b, chosen, method, settings, masks, progress, there)
        if method.match_widths is not None:
            return _Match(wholes, held.alignment, held.trace, held.places)
        left, right = (brought_to_search(model, device) for model in wholes)

    def keeps(found: Alignment) -> bool:
        whole = wholes[1]
        return check.keeps(1, whole.with_state(found.apply(whole.layout, whole.state)))

    given = MatcherInput(
        left, right, chosen, masks or {}, progress=progress, keeps=keeps, start=start
    )
    given = replace(given, **vars(drawn))
    alignment, trace = method.match(given if held is None else given.within(0.1, 1.0), settings)
    there = "cpu" if is_lazy(right.state) else find_device(wholes[1].state)
    alignment = alignment.to(there, right.layout.spaces)
    averaged = trace.soft_end(right)
    moved = move(wholes[1], alignment, in_place=True)
    if held is not None:
        alignment = alignment.compose(held.alignment)
    places = {} if held is None else held.places
    return _Match([wholes[0], moved], alignment, trace, places, averaged)


def _at_one_width(
    a: Model,
    b: Model,
    chosen: Classes,
    method: Method[object],
    settings: object,
    masks: Mapping[str, Tensor] | None,
    progress: Progress,
    device: torch.device,
) -> tuple[Widened, Model, Model]:
    """Both models at the width of the wider, in canonical form and matched by their weights; `a`
    stays if it is that one.
    """
    second = bool(wider(a, b))
    narrow, wide = (
        canonical(untied(model), chosen, device=device) for model in ((a, b) if second else (b, a))
    )
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
