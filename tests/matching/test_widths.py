"""Unequal widths: a widened model is found again in the wide one, both ways round; functions stay;
shares sum to one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmc_core.errors import Incompatible
from lmc_core.matching.common_form import common_form
from lmc_core.matching.pair import align_pair, canonical
from lmc_core.matching.widths import even, match_widths
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.models.widen import widen
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.embedding import NOBODY
from lmc_core.symmetry.spaces import choose_classes
from tests.networks import random_inputs, random_model
from tests.symmetry.test_widen import like
from tests.symmetry.wider import has_sizes, wider_config
from tests.tiny import configuration, tiny, write

NAMES = ["gpt2", "vit", "llama", "gpt_neox", "mixtral"]


def random_wide(name: str, narrow: Model, seed: int, way: str = "everything") -> Model:
    """A random model of the wide configuration, with a head of its own."""
    config = wider_config(name, way)
    assert config is not None
    return like(widen(narrow, config), seed)


def planted(name: str, seed: int) -> tuple[Model, Model]:
    """A narrow model, and its widened form moved by a random alignment of the wide sizes; units
    split into equal copies.
    """
    narrow = random_model(name, seed)
    empty = random_wide(name, narrow, 5)
    wide = widen(narrow, empty.config, even(narrow, empty))
    alignment = Alignment.random(
        wide.layout.spaces, choose_classes(wide.layout.spaces), torch.Generator().manual_seed(seed)
    )
    return narrow, replace(wide, state=alignment.apply(wide.layout, wide.state), name="planted")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("second", [True, False], ids=["narrow-wide", "wide-narrow"])
def test_a_planted_embedding_is_found(name: str, second: bool) -> None:
    narrow, wide = planted(name, 1)
    inputs = random_inputs(narrow)
    pair = align_pair(*((narrow, wide) if second else (wide, narrow)), inputs)
    difference = max(float((pair.a.state[n] - pair.b.state[n]).abs().max()) for n in pair.a.state)
    assert difference < 1e-5, difference
    assert pair.function_error < 1e-5
    assert pair.trace.objective[-1] == pytest.approx(1.0, abs=1e-6)
    middle = pair.a.with_state(Line(pair.a, pair.b).state(0.5))
    single = narrow.with_state({n: t.float() for n, t in narrow.state.items()})
    assert function_error(single, middle, inputs) < 1e-4


SIZED = [
    (name, way)
    for way in ("everything", "heads", "units")
    for name in NAMES
    if has_sizes(name, way)
]


@pytest.mark.parametrize("name, way", SIZED)
def test_independent_models_keep_their_functions(name: str, way: str) -> None:
    narrow = random_model(name)
    wide = random_wide(name, narrow, 3, way)
    inputs = random_inputs(narrow)
    for a, b in ((narrow, wide), (wide, narrow)):
        pair = align_pair(a, b, inputs)
        assert pair.function_error < 1e-5
        assert {n: t.shape for n, t in pair.a.state.items()} == {
            n: t.shape for n, t in wide.state.items()
        }
        assert (pair.a.config, pair.b.config) == (wide.config, wide.config)
        for places in pair.places.values():
            _require_shares(places.owner, places.shares)
    assert any(space.startswith("heads" if way == "heads" else "units") for space in pair.places)


def _require_shares(owner: torch.Tensor, shares: torch.Tensor) -> None:
    for one, part in zip(
        owner.view(-1, owner.shape[-1]), shares.view(-1, owner.shape[-1]), strict=True
    ):
        held = one != NOBODY
        total = torch.zeros(int(one.max()) + 1, dtype=torch.float64).index_add_(
            0, one[held], part[held]
        )
        assert torch.allclose(total, torch.ones_like(total), atol=1e-9)
        assert bool((part[~held] == 0).all())


def test_the_wide_model_may_stay_where_it_is() -> None:
    narrow = random_model("gpt2")
    wide = random_wide("gpt2", narrow, 3)
    classes = choose_classes(wide.layout.spaces)
    pair = align_pair(wide, narrow, random_inputs(narrow))
    stays = canonical(wide, classes)
    assert max(float((pair.a.state[n] - stays.state[n]).abs().max()) for n in stays.state) < 1e-6
    assert function_error(narrow, pair.b, random_inputs(narrow)) < 1e-5


def test_what_is_left_open_comes_nearer() -> None:
    narrow = random_model("vit")
    classes = choose_classes(narrow.layout.spaces)
    wide = canonical(random_wide("vit", narrow, 3), classes)
    small = canonical(narrow, classes)
    bare, filled = (match_widths(small, wide, classes, fill=fill) for fill in (False, True))
    distances = [
        sum(float((w.narrow.state[n] - w.wide.state[n]).square().sum()) for n in wide.state)
        for w in (bare, filled)
    ]
    assert distances[1] < 0.95 * distances[0]
    assert function_error(narrow, filled.narrow, random_inputs(narrow), torch.float64) < 1e-10


def test_without_a_method_zeros_are_appended() -> None:
    narrow = random_model("gpt2")
    wide = random_wide("gpt2", narrow, 3)
    a, b = common_form(narrow, wide)
    assert function_error(narrow, a, random_inputs(narrow)) < 1e-5
    assert all(torch.equal(b.state[n], wide.state[n]) for n in wide.state)
    # the units that the narrow one lacks
    assert bool((a.state["transformer.h.0.mlp.c_fc.weight"][:, 96:] == 0).all())
    back = common_form(wide, narrow)
    assert all(torch.equal(back[1].state[n], a.state[n]) for n in a.state)


def test_neither_holds_the_other() -> None:
    one = tiny("gpt2", n_embd=24)
    other = tiny("gpt2", n_inner=200)
    with pytest.raises(Incompatible, match="neither holds the other"):
        common_form(one, other)
    with pytest.raises(Incompatible, match="depth"):
        common_form(tiny("gpt2"), tiny("gpt2", n_layer=3))


def test_from_the_command_line_to_a_checkpoint(tmp_path: Path) -> None:
    from lmc_core.analysis.memory import estimate_pair
    from lmc_core.runs.kinds.barrier import compute, make_request

    small, large = (
        str(write(tmp_path / n, tiny("gpt2", n_embd=w))) for n, w in (("small", 16), ("large", 24))
    )
    for pair in ((small, large), (large, small)):
        for method in ("none", "weight"):
            request = make_request(
                *pair, method=method, examples=2, points=3, refine=0, device="cpu", length=16
            )
            result, arrays = compute(request)
            assert arrays["losses"].shape == (3, 2)
            assert method == "none" or result["function_error"] < 1e-5
    assert (
        estimate_pair((small, large)).peak == estimate_pair(large).peak > estimate_pair(small).peak
    )
    narrow, wide = load(small), load(large)
    pair = align_pair(narrow, wide, random_inputs(narrow))
    pair.a.save(tmp_path / "widened")
    assert load(str(tmp_path / "widened")).family.sizes(pair.a.config)["width"] == 24
    assert FAMILIES["gpt2"].config(configuration("gpt2"))["n_embd"] == 16
