"""The first promise: every admissible element of every class leaves the function unchanged; a wrong
one does not.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmc_core.matching.pair import canonical
from lmc_core.models.forward import function_error
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Invertible, Orthogonal
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes, kinds_of
from tests.networks import CONFIGURATIONS, random_inputs, random_model

# the first example of each family
FAMILY = {family: name for name, (family, _) in reversed(CONFIGURATIONS.items())}


@pytest.mark.parametrize("name", CONFIGURATIONS)
@settings(
    max_examples=2, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_random_elements_of_admissible_classes(name: str, data: st.DataObject, seed: int) -> None:
    model = random_model(name)
    inputs = random_inputs(model)
    choices = {
        kind: st.sampled_from(classes) for kind, classes in kinds_of(model.layout.spaces).items()
    }
    allowed = choose_classes(model.layout.spaces, data.draw(st.fixed_dictionaries(choices)))
    rewritten = canonical(model, allowed)
    assert function_error(model, rewritten, inputs, torch.float64) < 1e-10
    alignment = Alignment.random(
        rewritten.layout.spaces, allowed, torch.Generator().manual_seed(seed)
    )
    moved = rewritten.with_state(alignment.apply(rewritten.layout, rewritten.state))
    assert function_error(model, moved, inputs, torch.float64) < 1e-10


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_all_largest_classes_at_once(name: str) -> None:
    model = random_model(name, 1)
    allowed = choose_classes(model.layout.spaces)
    rewritten = canonical(model, allowed)
    alignment = Alignment.random(rewritten.layout.spaces, allowed, torch.Generator().manual_seed(1))
    moved = rewritten.with_state(alignment.apply(rewritten.layout, rewritten.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) < 1e-10


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_in_float32(name: str) -> None:
    model = random_model(name, 3, torch.float32)
    allowed = choose_classes(model.layout.spaces)
    rewritten = canonical(model, allowed)
    alignment = Alignment.random(rewritten.layout.spaces, allowed, torch.Generator().manual_seed(3))
    moved = rewritten.with_state(
        {n: t.float() for n, t in alignment.apply(rewritten.layout, rewritten.state).items()}
    )
    assert function_error(model, moved, random_inputs(model)) < 1e-5


@pytest.mark.parametrize("name", FAMILY.values())
def test_each_move_really_moves_the_weights(name: str) -> None:
    model = canonical(random_model(name), choose_classes(random_model(name).layout.spaces))
    for kind, classes in kinds_of(model.layout.spaces).items():
        if len(classes) > 1:
            allowed = dict.fromkeys(kinds_of(model.layout.spaces), SymmetryClass.NONE) | {
                kind: classes[-1]
            }
            alignment = Alignment.random(
                model.layout.spaces, allowed, torch.Generator().manual_seed(1)
            )
            moved = alignment.apply(model.layout, model.state)
            assert max(float((moved[n] - model.state[n]).abs().max()) for n in moved) > 0.1, kind


WRONG = [
    "residual without fixing ones",
    "general map of the residual",
    "rotated units",
    "heads apart",
    "one side of a plane",
]


@pytest.mark.parametrize("name", ["gpt2", "vit"])
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_moves_change_the_function(name: str, wrong: str) -> None:
    """Negative controls: what is just outside each class is seen by the check."""
    model = random_model(name)
    model = canonical(model, choose_classes(model.layout.spaces))
    spaces = model.layout.spaces
    generator = torch.Generator().manual_seed(5)

    def haar(n: int) -> torch.Tensor:
        return torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0]

    state = dict(model.state)
    if wrong == "residual without fixing ones":
        move = {"residual": Orthogonal(haar(spaces["residual"].size))}
    elif wrong == "general map of the residual":
        move = {"residual": Invertible.of(haar(24) + 0.1 * torch.eye(24, dtype=torch.float64))}
    elif wrong == "rotated units":
        move = {"units.0": Orthogonal(haar(spaces["units.0"].size))}
    else:
        move = {}
        block = next(b for b in model.layout.blocks if b.name == "blocks.0.value.weight")
        values = model.layout.view(state, block).clone()
        axis = block.axis("heads.0" if wrong == "heads apart" else "value-output.0")
        state = {n: t.clone() for n, t in state.items()}
        model.layout.view(state, block).copy_(values.roll(1, axis))
    alignment = Alignment.of(spaces, move)
    moved = model.with_state(alignment.apply(model.layout, state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


@pytest.mark.parametrize("name", ["gpt2", "vit"])
def test_rotating_before_the_rewrite_is_refused(name: str) -> None:
    from lmc_core.errors import Inadmissible

    model = random_model(name)
    alignment = Alignment.random(
        model.layout.spaces, choose_classes(model.layout.spaces), torch.Generator().manual_seed(1)
    )
    with pytest.raises(Inadmissible, match="fold it into its readers"):
        alignment.apply(model.layout, model.state)
