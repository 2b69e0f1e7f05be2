"""The difference of two checkpoints: numbers against slow ones, and every verdict on models that
are known to deserve it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmc_core.analysis import difference
from lmc_core.analysis.difference import compare_weights, effective_rank, name_layer
from lmc_core.models.load import load, load_folder
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import SymmetryClass
from tests.tiny import tiny, write


def slow_rank(matrix: torch.Tensor) -> float:
    values = torch.linalg.svdvals(matrix.double())
    shares = values[values > 0] / values.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def noisy(model: Model, scale: float, name: str = "tuned") -> Model:
    generator = torch.Generator().manual_seed(9)
    state = {
        n: t + scale * t.std() * torch.randn(t.shape, generator=generator)
        for n, t in model.state.items()
    }
    return model.with_state(state, name=name)


def test_numbers_are_those_of_their_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "PIECE", 50)
    one, other = tiny("mixtral", 0), tiny("mixtral", 1)
    found = compare_weights(one, other)
    for each in found["tensors"]:
        x, y = (model.state[each["name"]].double() for model in (one, other))
        assert each["distance"] == pytest.approx(float((x - y).norm() / x.norm()))
        assert each["cosine"] == pytest.approx(float((x * y).sum() / x.norm() / y.norm()))
        assert each["norms"] == pytest.approx([float(x.norm()), float(y.norm())])
        if "ranks" in each and "rank_difference" in each:
            stacks = [z if z.ndim == 3 else z[None] for z in (x, y, x - y)]
            slow = [sum(map(slow_rank, stack)) / len(stack) for stack in stacks]
            assert [*each["ranks"], each["rank_difference"]] == pytest.approx(slow, rel=1e-6)
    assert sum("ranks" in each for each in found["tensors"]) > 10
    x, y = (torch.cat([t.flatten() for t in m.state.values()]).double() for m in (one, other))
    assert found["distance"] == pytest.approx(float((x - y).norm() / x.norm()))
    layer = next(each for each in found["layers"] if each["name"] == "model.layers.1")
    names = [n for n in one.state if n.startswith("model.layers.1.")]
    x, y = (torch.cat([m.state[n].flatten() for n in names]).double() for m in (one, other))
    assert layer["tensors"] == len(names) and layer["equal"] == 0
    assert layer["cosine"] == pytest.approx(float((x * y).sum() / x.norm() / y.norm()))


def test_effective_ranks_of_known_spectra() -> None:
    assert effective_rank([torch.eye(5, 9)]) == pytest.approx(5)
    assert effective_rank([torch.ones(7, 3)]) == pytest.approx(1)
    assert effective_rank([torch.zeros(4, 4)]) == 0
    low = torch.randn(40, 2) @ torch.randn(2, 30)
    full = torch.randn(40, 30).double()
    assert 1 < effective_rank([full + low.double(), full]) < 2.001  # of the difference
    assert effective_rank([full.half()]) == pytest.approx(slow_rank(full.half()), rel=1e-6)


def test_lazy_models_give_the_same(tmp_path: Path) -> None:
    folders = [write(tmp_path / f"{seed}", tiny("gpt2", seed)) for seed in range(2)]
    (a, b), (c, d) = ([load_folder(f, lazy=each) for f in folders] for each in (False, True))
    assert compare_weights(a, b) == compare_weights(c, d)


def verdict(one: Model, other: Model) -> str:
    found = compare_weights(one, other, ranks=0)
    assert one.name in found["sentence"] and other.name in found["sentence"]
    return found["verdict"]


def test_verdicts_on_planted_differences(tmp_path: Path) -> None:
    model = load("gpt2-plays-s0")
    assert verdict(model, model) == "same"
    model.save(tmp_path / "half", "bfloat16")
    half = load_folder(tmp_path / "half")
    assert verdict(model, half) == verdict(half, model) == "rounded"
    assert verdict(model, noisy(model, 0.02)) == "fine-tuned"
    assert verdict(model, load("gpt2-plays-s1")) == "independent"
    assert verdict(model, load("gpt2-austen-s0")) == "between"  # one start, other books

    # units and the stream in another order
    spaces, classes = model.layout.spaces, {"units": "permutation", "residual": "permutation"}
    chosen = {
        space.kind: SymmetryClass.parse(classes.get(space.kind, "none"))
        for space in spaces.values()
    }
    moved = Alignment.random(spaces, chosen, torch.Generator().manual_seed(1))
    state = moved.apply(model.layout, model.state)
    assert verdict(model, model.with_state(state, name="moved")) == "moved"


def test_other_architectures_are_named() -> None:
    model = tiny("gpt2")
    assert verdict(model, tiny("vit")) == "architecture"
    wide = compare_weights(model, replace(tiny("gpt2", n_embd=24), name="wide"))
    assert wide["verdict"] == "architecture" and "n_embd: 16, 24" in wide["sentence"]
    deep = compare_weights(tiny("gpt2", n_layer=3), model)
    assert deep["only_first"] and all(".h.2." in name for name in deep["only_first"])
    assert len(deep["tensors"]) == len(model.state)  # what both have is compared
    other = replace(model, config=model.config | {"layer_norm_epsilon": 1e-3})
    assert "layer_norm_epsilon" in compare_weights(model, other)["sentence"]


def test_tables_are_compared_in_the_rows_that_both_have() -> None:
    model = tiny("gpt2")
    padded = tiny("gpt2", vocab_size=88)
    state = dict(model.state)
    table = "transformer.wte.weight"
    state[table] = torch.cat([model.state[table], padded.state[table][81:]])
    longer = replace(padded, state=state, name="padded")
    found = compare_weights(model, longer)
    assert found["verdict"] == "same" and found["equal"] == len(model.state)
    assert found["rows"] == 81 and "first 81 rows" in found["sentence"]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("transformer.h.3.attn.c_attn.weight", "transformer.h.3"),
        ("model.layers.11.mlp.experts.gate_up_proj", "model.layers.11"),
        ("transformer.wte.weight", "transformer.wte"),
        ("cls_token", "cls_token"),
    ],
)
def test_layers_of_parameters(name: str, layer: str) -> None:
    assert name_layer(name) == layer
