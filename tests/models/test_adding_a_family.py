"""A family is added from outside the package by public names alone, and everything knows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import lmc_core
from lmc_core.cli import main

PERMUTATIONS = (lmc_core.SymmetryClass.NONE, lmc_core.SymmetryClass.PERMUTATION)
SMALL = {"model_type": "toy", "width": 6, "hidden": 10, "labels": 3, "edge": 4}


def build(config: lmc_core.Config) -> nn.Module:
    width, hidden, labels, edge = config.sizes("width", "hidden", "labels", "edge")
    layers = nn.Linear(edge**2, width), nn.Tanh(), nn.Linear(width, hidden), nn.Tanh()
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(hidden, labels))


def structure(config: lmc_core.Config) -> lmc_core.Structure:
    s = lmc_core.Structure("toy")
    for name, key in (("first", "width"), ("second", "hidden")):
        s.space(name, "units", config.size(key), PERMUTATIONS, "tanh acts on each unit by itself")
    pixels = config.size("edge") ** 2
    s.parameter("in.weight", "1.weight", "+first *", (config.size("width"), pixels))
    s.parameter("in.bias", "1.bias", "+first", (config.size("width"),))
    s.linear("between", "3", "+second", "-first")
    s.linear("out", "5", "*", "-second", rows=config.size("labels"))
    return s


def save(module: nn.Module, config: lmc_core.Config, folder: Path, shard: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")


TOY = lmc_core.Family(
    name="toy",
    sentence="Two layers of tanh units on small images.",
    reference="this test",
    takes="images",
    recognises=lambda config: config.get("model_type") == "toy",
    build=build,
    outputs=lambda module, inputs: module(inputs),
    sizes=lambda config: {
        "width": config.size("width"),
        "depth": 2,
        "classes": config.size("labels"),
        "image": config.size("edge"),
        "channels": 1,
    },
    structure=structure,
    predicts=lambda config: "label",
    save=save,
    config=lambda raw: lmc_core.Config({key: raw.get(key, value) for key, value in SMALL.items()}),
    from_disk=lambda tensors, config: tensors,
    examples={"toy": SMALL},
)


@pytest.fixture
def toy() -> Iterator[lmc_core.Family]:
    yield lmc_core.FAMILIES.add(TOY)
    lmc_core.FAMILIES.remove("toy")


def written(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    config = lmc_core.Config(SMALL)
    save(build(config), config, folder)
    return folder


def inputs() -> Tensor:
    return torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_it_is_listed(toy: lmc_core.Family, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--families"]) == 0
    assert "toy" in capsys.readouterr().out
    assert main(["models", "--families", "--json"]) == 0
    assert "Two layers of tanh units" in capsys.readouterr().out


def test_without_it_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(lmc_core.BadInput):
        lmc_core.load(written(tmp_path / "a", 0))


def test_a_folder_of_it_is_loaded_aligned_written_and_read_back(
    toy: lmc_core.Family, tmp_path: Path
) -> None:
    a, b = (lmc_core.load(written(tmp_path / name, i)) for i, name in enumerate("ab"))
    assert a.family.name == "toy" and a.config.size("hidden") == 10

    pair = lmc_core.align_pair(a, b, inputs())
    assert pair.function_error < 1e-5
    before, after = (
        sum(float((model.state[name] - a.state[name]).square().sum()) for name in a.state)
        for model in (b, pair.b)
    )
    assert after < before

    pair.b.save(tmp_path / "aligned")
    again = lmc_core.load(tmp_path / "aligned")
    assert again.digest == pair.b.digest
    assert lmc_core.function_error(b, again, inputs()) < 1e-5


def test_its_name_is_taken_then(toy: lmc_core.Family) -> None:
    with pytest.raises(lmc_core.BadInput, match="There is a family 'toy' already"):
        lmc_core.FAMILIES.add(TOY)
