"""A fine-tuning is carried over exactly where the target is the base in other coordinates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmc_core.errors import Incompatible
from lmc_core.matching.aligned import AlignedPair, canonical
from lmc_core.matching.trace import Trace
from lmc_core.merging.transport import move_difference
from lmc_core.models.forward import function_error
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import Classes, SymmetryClass, choose_classes, class_of
from tests.networks import CONFIGURATIONS, random_inputs, random_model

TRACE = Trace((), 0.0, "", {}, 0)
QUICK = ("gpt2", "gpt2-untied", "llama", "mixtral", "vit", "vit-layerscale-mean")
KEEPS_LENGTHS = {
    SymmetryClass.INVERTIBLE: SymmetryClass.ORTHOGONAL,
    SymmetryClass.ROTARY: SymmetryClass.ROTATION,
    SymmetryClass.SCALED: SymmetryClass.SIGNED,
    SymmetryClass.SCALES: SymmetryClass.NONE,
}


# a plane of three sides, of which the one that both read is narrower than the plane
REFUSED = ("deberta-v2-classifier",)


def tune(model: Model, seed: int = 7) -> Model:
    """The model with every parameter changed a little, gains and offsets as well."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: tensor + 0.05 * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        for name, tensor in model.state.items()
    }
    return replace(model, name="tuned", state=state)


def planted(name: str) -> tuple[Model, Model, Alignment]:
    """A model of its own gains, the same in other coordinates, and what moves the one there."""
    own = random_model(name)
    classes = choose_classes(own.layout.spaces)
    form = canonical(own, classes)
    spaces = form.layout.spaces
    drawn: Classes = {
        space.kind: KEEPS_LENGTHS.get(class_of(space, classes), class_of(space, classes))
        for space in spaces.values()
    }
    admissible = {
        kind: each
        if all(each in space.classes for space in spaces.values() if space.kind == kind)
        else SymmetryClass.NONE
        for kind, each in drawn.items()
    }
    element = Alignment.random(spaces, admissible, torch.Generator().manual_seed(3))
    return own, form.with_state(element.apply(form.layout, form.state)), element


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in CONFIGURATIONS]
)
def test_a_planted_map_carries_the_fine_tuning_over_exactly(name: str) -> None:
    own, other, element = planted(name)
    if name in REFUSED:
        pair = AlignedPair(other, other, element, TRACE, 0.0, 0.0)
        with pytest.raises(Incompatible, match="align the two models anew"):
            move_difference(other, tune(other), own, pair)
        return
    form = canonical(own, choose_classes(own.layout.spaces))
    inputs = random_inputs(own)
    for base, target, pair in (
        (own, other, AlignedPair(form, form, element.inverse(), TRACE, 0.0, 0.0)),
        (other, own, AlignedPair(other, other, element, TRACE, 0.0, 0.0)),
    ):
        assert function_error(base, target, inputs, torch.float64) < 1e-9
        tuned = tune(base)
        changed = function_error(base, tuned, inputs, torch.float64)
        found = move_difference(base, tuned, target, pair)
        assert found.at(0.0) is target
        carried = found.at(1.0, dtype=torch.float64)
        assert function_error(tuned, carried, inputs, torch.float64) < 1e-8
        beside = found.at(1.0, moved=False, dtype=torch.float64)
        if any(space.classes[-1] is not SymmetryClass.NONE for space in own.layout.spaces.values()):
            error = function_error(tuned, beside, inputs, torch.float64)
            assert error > 1e-3 * changed > 0


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_shares_add_up(name: str) -> None:
    own, other, element = planted(name)
    pair = AlignedPair(other, other, element, TRACE, 0.0, 0.0)
    first = move_difference(other, tune(other), own, pair)
    assert first.length > 0 and first.cosine is not None and abs(first.cosine) < 0.9
    one, two, three = (first.at(k / 2, dtype=torch.float64).state for k in (1, 2, 3))
    for tensor, each in two.items():
        torch.testing.assert_close(each - one[tensor], three[tensor] - each)


def test_the_pair_of_other_models_is_refused() -> None:
    own, other, element = planted("gpt2")
    strange = canonical(random_model("gpt2", 9), choose_classes(own.layout.spaces))
    pair = AlignedPair(strange, other, element, TRACE, 0.0, 0.0)
    with pytest.raises(Incompatible, match="align the two models anew"):
        move_difference(other, tune(other), own, pair)


def test_a_plane_that_is_not_used_in_whole_moves_as_well() -> None:
    own = random_model("gpt2-untied")
    name = "transformer.h.0.attn.c_proj.weight"
    value = own.state[name].clone()
    value[0] = 0.0  # a coordinate of the first head's values that nothing reads
    base = own.with_state({**own.state, name: value})
    form = canonical(base, choose_classes(own.layout.spaces))
    pair = AlignedPair(form, form, Alignment.of(form.layout.spaces), TRACE, 0.0, 0.0)
    tuned = tune(base)  # whose plane is used in whole
    found = move_difference(base, tuned, base, pair).at(1.0, dtype=torch.float64)
    assert function_error(tuned, found, random_inputs(own), torch.float64) < 1e-8


def test_classes_in_another_order_are_carried_by_name() -> None:
    names = ("cat", "dog", "owl", "yak", "ant")
    own, moved, element = planted("vit")
    back = [2, 0, 1, 4, 3]  # row k of the target's head is the class names[back[k]]
    state = dict(moved.state)
    for name in ("head.weight", "head.bias"):
        state[name] = state[name][back]
    base = replace(own, class_names=names)
    target = replace(moved, state=state, class_names=tuple(names[k] for k in back))
    tuned = replace(tune(base), class_names=names)
    form = canonical(base, choose_classes(base.layout.spaces))
    pair = AlignedPair(form, form, element.inverse(), TRACE, 0.0, 0.0)
    carried = move_difference(base, tuned, target, pair).at(1.0, dtype=torch.float64)
    assert carried.class_names in (names, ())
    assert function_error(tuned, carried, random_inputs(own), torch.float64) < 1e-8
