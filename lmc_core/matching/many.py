"""Align several models: canonical rewrite of all, a method, the function checks, and the cycles
that their maps compose to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from lmc_core.display import draw_trace, show
from lmc_core.errors import BadInput, Incompatible
from lmc_core.matching.aligned import brought_to_search, canonical, find_exact_device
from lmc_core.matching.cycles import between, cycle_error
from lmc_core.matching.function_check import FunctionCheck
from lmc_core.matching.matcher_input import ManyInput
from lmc_core.matching.method import learns
from lmc_core.matching.methods import MANY_METHODS
from lmc_core.matching.trace import Trace
from lmc_core.models.common import alike_untied, in_float32, require_compatible
from lmc_core.models.forward import few_enough
from lmc_core.models.lazy import is_lazy, shapes
from lmc_core.models.mixing import centre
from lmc_core.models.model import Model
from lmc_core.models.moved import move
from lmc_core.models.pieced import mean
from lmc_core.models.rows import extended, in_shared_rows
from lmc_core.numbers import describe_change, number, seconds
from lmc_core.progress import Progress
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes
from lmc_core.tasks.class_order import in_one_order
from lmc_core.tasks.learning import Learning

# models; memory grows with their number, and matching all pairs with its square
FEWEST, MOST = 2, 8


@dataclass(frozen=True)
class AlignedModels:
    """Several models in one frame.

    Attributes:
        models: in the order they came, the first in canonical form, the others moved; in float32.
        alignments: what moved each of them into the frame, after its own canonical rewrite.
        trace: of the method's objective.
        function_errors: of each model, the largest relative difference of its outputs before and
            after, in float32.
        cycle_error: largest absolute difference of g_ij g_jk g_ki from the identity, over all
            triples.
        seconds: what the alignment took, without the checks.
        wholes: the models with all rows of their own tables, where these are not equally many; ()
            where they are.
    """

    models: tuple[Model, ...]
    alignments: tuple[Alignment, ...]
    trace: Trace
    function_errors: tuple[float, ...]
    cycle_error: float
    seconds: float
    wholes: tuple[Model, ...] = ()

    def _repr_html_(self) -> str:
        """The function checks and the objective, in a notebook."""
        facts = [
            ("models", ", ".join(model.name for model in self.models)),
            ("function", describe_change(max(self.function_errors), ", of any model")),
            ("cycles", number(self.cycle_error, digits=2)),
            ("time", seconds(self.seconds)),
        ]
        return show("Aligned models", facts, draw_trace(self.trace.objective, "objective"))

    @property
    def centre(self) -> Model:
        """The mean of the aligned models, an ordinary model of their class, lazy where they are;
        further rows of its tables are the first's.
        """
        states = [model.state for model in self.models]
        lazily = mean(self.models[0].layout, states) if is_lazy(states[0]) else None
        return extended(centre(self.models, state=lazily), self.written[0])

    @property
    def written(self) -> tuple[Model, ...]:
        """The models as they are written, each with its own rows."""
        return self.wholes or self.models


def common_forms(models: Sequence[Model]) -> list[Model]:
    """All models, untied if any two differ in that, so that they have the same parameters, with the
    classes in one order.

    Of tables with unequal numbers of rows all have those that all have.

    Raises:
        BadInput: for fewer than two models, or more than eight.
        Incompatible: if they have no common layout, are not of one width, or tell other classes
            apart.
    """
    return in_shared_rows(whole_forms(models))


def whole_forms(models: Sequence[Model]) -> list[Model]:
    """The same with all rows of each model's own tables."""
    if not FEWEST <= len(models) <= MOST:
        raise BadInput(f"Between {FEWEST} and {MOST} models are expected; {len(models)} came.")
    for model in models[1:]:
        require_compatible(models[0], model)
    models = alike_untied(in_one_order(models))
    shared = in_shared_rows(models)
    for model in shared[1:]:
        own = shapes(model.state)
        for name, tensor in shapes(shared[0].state).items():
            if own[name].shape != tensor.shape:
                raise Incompatible(
                    f"{name!r} has shape {list(tensor.shape)} in {models[0].name} and "
                    f"{list(own[name].shape)} in "
                    f"{model.name}; several models have to be of one width."
                )
    return list(models)


def align_models(
    models: Sequence[Model],
    inputs: Tensor,
    classes: Mapping[str, str | SymmetryClass] | None = None,
    method: str = "universe",
    settings: object = None,
    masks: Mapping[str, Tensor] | None = None,
    progress: Progress = lambda share, words: None,
    learning: Learning | None = None,
    device: str = "cpu",
) -> AlignedModels:
    """Move several models into one frame, in which every one has a single alignment, so that maps
    agree around cycles.

    Args:
        models: two to eight, of one family and width; the first stays, up to its canonical rewrite.
        inputs: a few real examples for the function checks.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        method: a name in `MANY_METHODS`.
        settings: of the method, an instance of its `settings`; None for its defaults.
        masks: by parameter, the rows that count.
        progress: called with the share done and a few words; may raise to stop.
        learning: examples of the training split, for methods that learn.
        device: where all models are brought, matched and run; assignments alone are solved on the
            CPU, and the aligned models come back to it.

    Raises:
        BadInput: for too few or too many models, or a method that learns without examples.
        Incompatible: if the models have no common layout.
        Inadmissible: if a class is larger than a space admits.
        FunctionChanged: if any model's outputs moved by more than rounding.
    """
    chosen_method = MANY_METHODS[method]
    settings = settings if settings is not None else chosen_method.settings()
    _require_examples(method, settings, learning)
    begin = time.perf_counter()
    models = whole_forms(models)
    chosen = choose_classes(models[0].layout.spaces, classes)
    lazy = is_lazy(models[0].state)
    check = FunctionCheck(models, few_enough(inputs, models[0]), device=device, again=lazy)
    there = find_exact_device(device)
    wholes = tuple(canonical(model, chosen, device=there) for model in models)
    rewritten = tuple(in_shared_rows([brought_to_search(model, device) for model in wholes]))

    def keeps(found: Sequence[Alignment]) -> bool:
        return all(check.keeps(*each) for each in enumerate(_move(wholes, found)))

    group = ManyInput(rewritten, chosen, masks or {}, learning, progress, keeps)
    alignments, trace = chosen_method.match(group, settings)
    there = "cpu" if lazy else there
    alignments = [each.to(there, models[0].layout.spaces) for each in alignments]
    pairs = zip(wholes, alignments, strict=True)
    double = [move(model, alignment, in_place=True) for model, alignment in pairs]
    moved = tuple(in_float32(model) for model in double)
    seconds = time.perf_counter() - begin - check.seconds
    errors = check.require(double, moved)
    moved = tuple(in_float32(model, "cpu") for model in moved)
    alignments = [alignment.to("cpu") for alignment in alignments]
    found = tuple(alignments), trace, tuple(errors), cycle_error(between(alignments)), seconds
    shared = tuple(in_shared_rows(moved))
    return AlignedModels(shared, *found, moved if unequal_rows(shared, moved) else ())


def _require_examples(method: str, settings: object, learning: Learning | None) -> None:
    if learns(settings) and learning is None:
        raise BadInput(
            f"The method {method} learns from data; give examples of a training split, or set "
            "steps=0."
        )


def _move(models: Sequence[Model], alignments: Sequence[Alignment]) -> Iterator[Model]:
    """Each model where its alignment brings it; a lazily read one when it is read."""
    for model, alignment in zip(models, alignments, strict=True):
        yield move(model, alignment)


def unequal_rows(shared: Sequence[Model], wholes: Sequence[Model]) -> bool:
    """Whether some of the models have rows that the others lack."""
    return any(one.config != two.config for one, two in zip(shared, wholes, strict=True))


# their former names
AlignedGroup = AlignedModels
align_group = align_models
