"""Merge several models into one, as `lmc merge` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.many import whole_forms
from lmc_core.merging.ingredients import Ingredients, Judge, Merged
from lmc_core.merging.measure import measure
from lmc_core.merging.method import MergeMethod
from lmc_core.merging.methods import MERGES
from lmc_core.models.lazy import is_lazy
from lmc_core.models.mixing import shared_card
from lmc_core.models.model import Model
from lmc_core.models.rows import extended, in_shared_rows
from lmc_core.progress import Progress, ignore, part
from lmc_core.tasks.task import Examples


def merge(
    models: Sequence[Model],
    method: str = "average",
    *,
    weights: Sequence[float] = (),
    ancestor: Model | None = None,
    stand_in: str = "mean",
    validation: Examples | None = None,
    device: str = "cpu",
    name: str | None = None,
    progress: Progress = ignore,
    **settings: object,
) -> Model:
    """Merge models that are in one frame into one, an ordinary model of their class.

        merge(align_many(models).models, "ties", density=0.2)

    Args:
        models: two to eight of one family and width, of one seed or aligned before.
        method: a name in `MERGES` whose result is one model.
        weights: of the models, 0 or more; () for equal ones.
        ancestor: the model that all were fine-tuned from, in the same frame; None where there is
            none.
        stand_in: what takes its place then, ``mean`` of the models or the ``first`` of them.
        validation: examples for methods that choose by them (the greedy soup), which should not be
            those that the result is measured on.
        device: where models run that are chosen by examples.
        name: of the result; by default the names of the models, joined.
        progress: told the share done and a few words; may raise to stop.
        settings: of the method, such as ``density=0.2``.

    Returns:
        The merged model in float32; its parameters are lazy where those of the models are, and
        merged when they are asked for or written. What there is to say of it (which models a soup
        kept) stands in its card, under ``about``.

    Raises:
        UnknownName: for a method or a setting that there is not.
        BadInput: for weights or settings that make no sense, a method that chooses without
            `validation`, or one that keeps all models.
        Incompatible: if the models have no common layout, or are not of one width.
    """
    chosen = MERGES[method]
    configured = chosen.configured(settings)
    mix = _require_mix(chosen, models)
    every = whole_forms([*models, *([] if ancestor is None else [ancestor])])
    shared = in_shared_rows(every)
    ingredients = Ingredients(
        states=[model.state for model in shared[: len(models)]],
        names=[model.name for model in models],
        weights=weights,
        ancestor=None if ancestor is None else shared[-1].state,
        stand_in=stand_in,
        judge=_make_judge(chosen, configured, shared[0], validation, device),
        progress=part(progress, words=f"merging: {chosen.title}"),
    )
    merged = mix(ingredients, configured)
    card = {**shared_card(models), **({"about": merged.about} if merged.about else {})}
    title = name or " + ".join(model.name for model in models)
    return extended(shared[0].with_state(merged.state, name=title, card=card), every[0])


def _require_mix(
    chosen: MergeMethod[object], models: Sequence[Model]
) -> Callable[[Ingredients, object], Merged]:
    """What makes one model of several; refuses a method that keeps all of them, and lazily read
    models for one that measures them.
    """
    if chosen.merge is None:
        raise BadInput(
            "An output ensemble is several models and not one; measure it with `merging.measure`, "
            "or choose another way to merge."
        )
    if chosen.chooses is not None and any(is_lazy(model.state) for model in models):
        raise BadInput(
            f"The way to merge called {chosen.title} measures models and needs them in memory; "
            "load them whole, or choose another way to merge."
        )
    return chosen.merge


def _make_judge(
    chosen: MergeMethod[object],
    settings: object,
    model: Model,
    validation: Examples | None,
    device: str,
) -> Judge | None:
    """Mean loss and score of parameters on some examples, for a method that chooses by them."""
    if chosen.chooses is None or validation is None:
        return None
    examples = validation.first(chosen.chooses(settings))

    def judge(state: Mapping[str, Tensor]) -> tuple[float, float]:
        found = measure(model, [state], examples, device=device)
        return float(found.losses.double().mean()), float(found.correct.double().mean())

    return judge
