"""Models of unequal widths that are read one parameter at a time are brought to one width and into
one frame as those in memory are.
"""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch

from lmc_core.matching import objective
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.pair import align_pair
from lmc_core.matching.weight import WeightSettings
from lmc_core.models.common import untied
from lmc_core.models.forward import function_error, random_inputs
from lmc_core.models.lazy import LazyState, is_lazy
from lmc_core.models.model import Model
from lmc_core.models.pieced import PiecedState, cut_again, rescaled
from lmc_core.models.widen import widen
from lmc_core.symmetry import alignment
from lmc_core.symmetry.alignment import Pieced, read_pieces
from lmc_core.symmetry.embedding import Columns
from tests.matching.test_lazy_pair import lazily
from tests.matching.test_widths import planted, random_wide
from tests.networks import random_model
from tests.symmetry.test_widen import random_embeddings
from tests.tiny import tiny

# biases and learned positions, rotary planes, a mixture, parallel layers, images, T5's two stacks
NAMES = ["gpt2", "llama", "mixtral", "gpt_neox", "vit", "t5-1.1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_lazily_read_model_is_widened_to_the_last_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, and in pieces that are cut at other places in the wide model; with what is left open
    taken from another that is lazily read too. No embedding changes the function, and what is none
    does.
    """
    narrow = random_model(name)
    wide = random_wide(name, narrow, 5)
    chosen = random_embeddings(narrow, wide, 3)
    held = widen(narrow, wide.config, chosen, wide.state)
    inputs = random_inputs(narrow, 2)
    for size in (alignment.CHUNK, 40):
        monkeypatch.setattr(alignment, "CHUNK", size)
        lazy = widen(lazily(narrow), wide.config, chosen, lazily(wide).state)
        assert isinstance(lazy.state, PiecedState)
        assert all(
            torch.allclose(held.state[n], t, rtol=0, atol=1e-14) for n, t in lazy.state.items()
        )
        assert function_error(narrow, lazy, inputs, torch.float64) < 1e-10
    found = chosen["residual"]
    wrong = Columns(found.writes + 0.05 * torch.ones_like(found.writes).tril(), found.reads)
    other = widen(lazily(narrow), wide.config, {**chosen, "residual": wrong})
    assert function_error(narrow, other, inputs, torch.float64) > 1e-3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("held", [0, objective.HELD], ids=["float32", "float64"])
def test_a_planted_embedding_is_found_lazily(
    name: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "HELD", held)
    narrow, wide = planted(name, 1)
    pair = align_pair(lazily(narrow), lazily(wide), random_inputs(narrow, 2))
    assert pair.trace.objective[-1] == pytest.approx(1.0, abs=1e-6)
    assert pair.function_error < 2e-5
    difference = max(float((pair.a.state[n] - pair.b.state[n]).abs().max()) for n in pair.a.state)
    assert difference < (2e-2 if held == 0 else 1e-5)


def require_alike(lazy: AlignedPair, held: AlignedPair) -> None:
    assert is_lazy(lazy.a.state) and is_lazy(lazy.b.state)
    assert not is_lazy(held.a.state) and not is_lazy(held.b.state)
    # signs of the coordinates of planes are anyone's until they are visited
    rounds = [list(pair.trace.objective) for pair in (lazy, held)]
    assert len(rounds[0]) == len(rounds[1]) > 8
    assert rounds[0][-8:] == pytest.approx(rounds[1][-8:], abs=1e-7)
    assert lazy.places.keys() == held.places.keys()
    for name, places in held.places.items():
        assert torch.equal(lazy.places[name].owner, places.owner), name
        assert torch.allclose(lazy.places[name].shares, places.shares, rtol=0, atol=1e-5), name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("second", [True, False], ids=["narrow-wide", "wide-narrow"])
def test_independent_models_that_are_not_held(name: str, second: bool) -> None:
    """The same objective, places and shares; the same models where the wide one stays. Where it
    moves, directions of its stream that the narrow one leaves open are anyone's.
    """
    narrow = random_model(name)
    wide = random_wide(name, narrow, 3)
    inputs = random_inputs(narrow, 2)
    models = (narrow, wide) if second else (wide, narrow)
    held = align_pair(*models, inputs)
    lazy = align_pair(*map(lazily, models), inputs)
    require_alike(lazy, held)
    ends = (lazy.a, lazy.b) if second else (lazy.b, lazy.a)
    assert lazy.function_error < 2e-5
    assert function_error(narrow, ends[0], inputs, torch.float64) < 1e-5
    assert function_error(wide, ends[1], inputs, torch.float64) < 1e-5
    assert function_error(narrow, ends[1], inputs, torch.float64) > 0.1  # the check sees another
    if not second:
        for one, other in ((lazy.a, held.a), (lazy.b, held.b)):
            for key, tensor in one.state.items():
                assert torch.allclose(tensor, other.state[key], rtol=0, atol=1e-3), key


@pytest.mark.parametrize("way", ["heads", "units"])
def test_more_heads_or_units_of_one_width(way: str) -> None:
    narrow = random_model("gpt_neox")
    wide = random_wide("gpt_neox", narrow, 3, way)
    inputs = random_inputs(narrow, 2)
    lazy = align_pair(lazily(narrow), lazily(wide), inputs)
    require_alike(lazy, align_pair(narrow, wide, inputs))


def watched(model: Model, alive: list[weakref.ref[torch.Tensor]], most: list[int]) -> Model:
    """The model, lazily read; of parameters with several axes it is counted how many are there."""
    state = model.state

    def make(name: str) -> torch.Tensor:
        tensor = state[name].clone()
        alive[:] = [each for each in alive if each() is not None]
        if tensor.ndim > 1:  # biases and gains are held
            alive.append(weakref.ref(tensor))
        most[0] = max(most[0], len(alive))
        return tensor

    return model.with_state(LazyState(state, make))


@pytest.mark.parametrize("layers", [1, 4])
def test_three_parameters_at_most_are_there_as_they_are_stored(
    layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However deep the models are: one of each while they are compared, and a fused one that is
    read by its blocks.
    """
    monkeypatch.setattr(objective, "HELD", 0)
    alive: list[weakref.ref[torch.Tensor]] = []
    most = [0]
    sizes = {"num_hidden_layers": layers, "num_local_experts": 2}
    narrow, wide = (
        watched(tiny("mixtral", hidden_size=w, intermediate_size=2 * w, **sizes), alive, most)
        for w in (16, 32)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # side by side each thread has two
    try:
        settings = WeightSettings(starts=("edges",), max_rounds=2)
        pair = align_pair(narrow, wide, random_inputs(narrow, 2), settings=settings)
    finally:
        torch.set_num_threads(before)
    assert pair.function_error < 1e-5 and 2 <= most[0] <= 3


@pytest.mark.parametrize("cut", [None, (0, 3), (0, 4), (0, 12), (0, 1)])
def test_pieces_cut_at_other_places(cut: tuple[int, int] | None) -> None:
    whole = torch.arange(24.0).view(12, 2)
    for size in (1, 2, 5, 12):
        parts = whole.split(12 if cut is None else size)
        found = list(cut_again(parts, cut))
        assert torch.equal(torch.cat(found), whole)
        assert [len(part) for part in found] == [len(p) for p in whole.split(cut[1] if cut else 12)]


def test_blocks_times_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lazily or held, whole or in pieces; what came in stays."""
    monkeypatch.setattr(alignment, "CHUNK", 40)
    model = untied(replace(random_model("gpt2"), name="one"))
    factors = {"token.table": 3.0, "blocks.0.attention.key.weight": 0.5}
    blocks = model.layout.by_name
    factors = {name: factor for name, factor in factors.items() if name in blocks}
    assert "token.table" in factors
    before = {name: tensor.clone() for name, tensor in model.state.items()}
    for source in (model, lazily(model)):
        found = rescaled(model.layout, source.state, factors)
        assert isinstance(found, Pieced) is is_lazy(source.state)
        for name, block in blocks.items():
            expected = model.layout.view(before, block) * factors.get(name, 1.0)
            assert torch.equal(model.layout.view(found, block), expected)
            parts = [part.flatten() for part in read_pieces(model.layout, found, block)]
            assert sum(map(len, parts)) == expected.numel()
    assert all(torch.equal(model.state[name], tensor) for name, tensor in before.items())
