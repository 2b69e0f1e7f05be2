"""What two models, or several, must have in common to be compared, and models without what keeps
them apart: a shared table, a lower precision.

Settings that decide what is computed must be equal: a rotary base, an epsilon, an activation. The
numbers of special tokens decide nothing but where a classifier finds the end of a text, and where
RoBERTa's positions begin. Of tables with a row for each token or position see `rows.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lmc_core.errors import Incompatible
from lmc_core.models.family import PREDICTIONS
from lmc_core.models.fits import require_fits, same_parts, wider
from lmc_core.models.lazy import is_lazy, map_state, shapes, with_parameter
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows
from lmc_core.models.settings import unequal_settings, without_effect


def require_compatible(a: Model, b: Model) -> None:
    """Raise `Incompatible`, naming the first difference, unless both models have the same layout
    and compute alike.

    Of unequal widths the wider has to have room for the other in all its spaces.
    """
    _require_one_family(a, b)
    if different_heads(a, b):
        require_one_body(a, b)
        raise Incompatible(
            f"{_with_head(a)}, and {_with_head(b)}, so that there is no line between them; they "
            "have one body, and `lmc align` "
            "matches the layers that both have."
        )
    if same_parts(a, b) and (second := wider(a, b)) is not None:
        require_fits(*((a, b) if second else (b, a)))
        return
    ignored = without_effect(a, b)
    a, b = in_shared_rows((a, b))
    left, right = a.family.sizes(a.config), b.family.sizes(b.config)
    for key, value in left.items():
        if key != "context" and right.get(key) != value:
            raise Incompatible(
                f"{a.name} has {key} {value} and {b.name} has {key} {right.get(key)}; choose two "
                "models of the same sizes."
            )
    left, right = ({n: tuple(t.shape) for n, t in shapes(untied(m).state).items()} for m in (a, b))
    for name in sorted(left.keys() ^ right.keys()):
        raise Incompatible(
            f"Only one of {a.name} and {b.name} has the parameter {name!r}; choose two of one "
            "architecture."
        )
    for name, shape in left.items():
        if right[name] != shape:
            raise Incompatible(
                f"{name!r} has shape {list(shape)} in {a.name} and {list(right[name])} in "
                f"{b.name}; choose two alike."
            )
    _require_equal_settings(a, b, ignored)


def require_one_body(a: Model, b: Model) -> None:
    """Raise `Incompatible`, naming the first difference, unless two models have the same body,
    whatever their heads.
    """
    _require_one_family(a, b)
    ignored = without_effect(a, b, heads=False)
    a, b = in_shared_rows((a, b))
    left, right = a.family.sizes(a.config), b.family.sizes(b.config)
    for key in left.keys() & right.keys() - {"context", "classes"}:
        if left[key] != right[key]:
            raise Incompatible(
                f"{a.name} has {key} {left[key]} and {b.name} has {key} {right[key]}; choose two "
                "models of the same sizes."
            )
    _require_equal_settings(a, b, ignored)


def _require_equal_settings(a: Model, b: Model, ignored: set[str]) -> None:
    for key, value, other in unequal_settings(a.config, b.config, ignored):
        raise Incompatible(
            f"{a.name} has {key}={value} and {b.name} has {key}={other}; choose two that compute "
            "alike."
        )


def _require_one_family(a: Model, b: Model) -> None:
    if a.family.name != b.family.name:
        raise Incompatible(
            f"{a.name} is a {a.family.name} and {b.name} a {b.family.name}; choose two models of "
            "one family."
        )


def different_heads(a: Model, b: Model) -> bool:
    """Whether two models of one family are of classes with different heads, or tell different
    numbers of classes apart.
    """
    if a.family.name != b.family.name:
        return False
    (one, left), (two, right) = (
        (model.config, model.family.sizes(model.config)) for model in (a, b)
    )
    classes = left.get("classes") != right.get("classes") or a.family.predicts(
        one
    ) != b.family.predicts(two)
    return classes or one.get("architectures") != two.get("architectures")


def head_notes(models: Sequence[Model]) -> tuple[str, ...]:
    """A sentence for captions on two models with different heads; () for others."""
    if len(models) != 2 or not different_heads(*models):
        return ()
    return (
        f"{_with_head(models[0])}, and {_with_head(models[1])}; matched are the layers that both "
        "have.",
    )


def _with_head(model: Model) -> str:
    """A model with its class and what it predicts, as a clause."""
    cls = model.config.class_name([*model.family.classes, model.family.name][0])
    found = model.family.predicts(model.config)
    count = model.family.sizes(model.config).get("classes")
    what = (
        f"one of {count} labels for each input"
        if found == "label" and count
        else PREDICTIONS.get(found, found)
    )
    return f"{model.name} is a {cls} and predicts {what}"


def untied(model: Model) -> Model:
    """The same model with a head of its own where it shared the token table; otherwise the model
    itself.
    """
    tied = model.family.rewrite(model.config).tied
    if tied is None:
        return model

    lazy = is_lazy(model.state)

    def make_head(table: Tensor) -> Tensor:
        if tied.scale == 1:  # what is lazily read belongs to whoever asks for it
            return table if lazy else table.clone()
        if table.dtype in (torch.bfloat16, torch.float16):
            table = table.float()  # or the product would be rounded
        return table * tied.scale

    state = with_parameter(model.state, tied.head, tied.table, make_head)
    return replace(model, config=model.config | dict(tied.config), state=state)


def alike_untied(models: Sequence[Model]) -> list[Model]:
    """The models as they are, or all untied where one has a head of its own and another shares its
    table.
    """
    if any(model.state.keys() != models[0].state.keys() for model in models):
        return [untied(model) for model in models]
    return list(models)


def in_float32(model: Model, device: torch.device | str | None = None) -> Model:
    """The same model with parameters in float32, on a device; by default on their own. Lazily read
    ones come to the CPU; a model that has them in float32 is what it was.
    """
    if is_lazy(model.state):
        device = None
        if all(tensor.dtype is torch.float32 for tensor in shapes(model.state).values()):
            return model

    def brought(name: str, tensor: Tensor) -> Tensor:
        stays = device is None or tensor.is_meta  # shapes of lazy parameters are nowhere
        return tensor.to(tensor.device if stays else device, torch.float32)

    return model.with_state(map_state(model.state, brought))
