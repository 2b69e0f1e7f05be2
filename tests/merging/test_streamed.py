"""Merging parameter by parameter and piece by piece: the same bits as of whole models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.merging import ingredients, selection, slerp
from lmc_core.merging.ingredients import Ingredients
from lmc_core.merging.merge import merge
from lmc_core.merging.methods import MERGES
from lmc_core.merging.selection import find_largest
from lmc_core.models.common import require_compatible, untied
from lmc_core.models.lazy import LazyState, is_lazy, shapes
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from tests.merging.conftest import State
from tests.tiny import tiny

ENTRYWISE = ("average", "weighted", "task-arithmetic", "ties", "dare")
ALL = (*ENTRYWISE, "slerp")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("streamed")
    for seed in range(3):
        tiny("gpt2", seed).save(root / f"{seed}", "float16")
    return [root / f"{seed}" for seed in range(3)]


def made(folders: Sequence[Path], method: str, ancestor: bool, lazy: bool) -> Model:
    *models, base = (load_folder(folder, lazy=lazy) for folder in folders)
    others = [*models, *([] if ancestor else [base])]
    weights = (3.0, 1.0) if ancestor else (3.0, 1.0, 2.0)
    return merge(others, method, weights=weights, ancestor=base if ancestor else None)


@pytest.mark.parametrize("ancestor", [False, True])
@pytest.mark.parametrize("method", ALL)
def test_lazy_models_give_what_whole_ones_give(
    folders: list[Path], tmp_path: Path, method: str, ancestor: bool
) -> None:
    whole, lazy = (made(folders, method, ancestor, each) for each in (False, True))
    assert is_lazy(lazy.state) and not is_lazy(whole.state) and whole.digest == lazy.digest
    whole.save(tmp_path / "whole")
    lazy.save(tmp_path / "lazy")
    one, other = (load_folder(tmp_path / name).state for name in ("whole", "lazy"))
    assert {tensor.dtype for tensor in other.values()} == {torch.float16}
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_nothing_is_read_before_it_is_merged(folders: list[Path]) -> None:
    """Comparing, untying and cutting models ask for shapes alone; a parameter is read when it is
    merged, and by then no other is held.
    """
    read: list[str] = []

    def counted(folder: Path) -> Model:
        model = load_folder(folder, lazy=True)

        def make(name: str) -> Tensor:
            read.append(name)
            return model.state[name]

        return model.with_state(LazyState(shapes(model.state), make))

    models = [counted(folder) for folder in folders]
    merged = merge([models[0], models[1], untied(models[2])], "average")
    assert read == [] and "lm_head.weight" in merged.state
    assert (
        merged.state["lm_head.weight"].shape
        == shapes(models[0].state)["transformer.wte.weight"].shape
    )
    assert read == ["transformer.wte.weight"] * 3
    assert not require_compatible(models[0], models[1]) and len(read) == 3


@pytest.mark.parametrize("method", ALL)
def test_pieces_change_nothing(
    states: list[State], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = MERGES[method]
    assert chosen.merge is not None
    found = []
    for size in (2**20, 7):
        monkeypatch.setattr(ingredients, "PIECE", size)
        monkeypatch.setattr(slerp, "PIECE", size)
        found.append(chosen.merge(Ingredients(states), chosen.settings()).state)
    for name, tensor in found[0].items():  # sums, and tails of vectors, are rounded otherwise
        assert torch.allclose(tensor, found[1][name], rtol=1e-6, atol=1e-8)


def test_a_soup_of_lazy_models_is_refused(folders: list[Path]) -> None:
    models = [load_folder(folder, lazy=True) for folder in folders]
    with pytest.raises(BadInput, match="needs them in memory"):
        merge(models, "soup")


@pytest.mark.parametrize("few", [0, 30])
def test_selection_by_digits_is_sorting(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "FEW", few)
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(3000, generator=generator).double().abs() ** 9
    near = 1 + torch.randint(0, 40, (3000,), generator=generator).double() * 2.0**-52
    zeros = torch.zeros(3000, dtype=torch.float64)
    every = [wide, near, zeros, torch.cat([zeros[:1500], wide[1500:]])]

    def lists() -> Iterator[list[Tensor]]:
        for start in range(0, 3000, 700):
            yield [each[start : start + 700] for each in every]

    for rank in (1, 1600, 3000):
        found = find_largest(lists, rank, len(every))
        assert found == [float(each.sort(descending=True).values[rank - 1]) for each in every]
