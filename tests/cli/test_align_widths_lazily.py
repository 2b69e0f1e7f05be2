"""`lmc align NARROW WIDE --out` of large models: read and written one parameter at a time, with the
same result.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from lmc_core.analysis import lazy_memory, widened_memory
from lmc_core.cli import align, main
from lmc_core.cli.align_lazily import open_lazily
from lmc_core.errors import BadInput
from lmc_core.models.forward import function_error, random_inputs
from lmc_core.models.lazy import is_lazy
from lmc_core.models.load import load_folder
from lmc_core.runs import cache
from tests.tiny import tiny

SIZES = {
    "gpt2": ({"n_embd": 16}, {"n_embd": 24}),
    "mixtral": (
        {"hidden_size": 16},
        {"hidden_size": 32, "intermediate_size": 18, "num_local_experts": 3},
    ),
}


@pytest.fixture(params=SIZES)
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A narrow and a wide model in half precision; no aligned pair is kept on disk."""
    monkeypatch.setattr(cache, "HELD", 0)
    folders = [tmp_path / name for name in ("narrow", "wide")]
    for seed, (folder, sizes) in enumerate(zip(folders, SIZES[request.param], strict=True)):
        tiny(request.param, seed, **sizes).save(folder, torch.float16)
    return [str(folder) for folder in folders]


@pytest.mark.parametrize("second", [True, False], ids=["narrow-wide", "wide-narrow"])
def test_unequal_widths_are_aligned_without_being_held(
    pair: list[str],
    second: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pair = pair if second else pair[::-1]
    asked = ["align", *pair, "--device", "cpu", "--json", "--task", "plays"]
    assert main([*asked, "--out", str(tmp_path / "whole")]) == 0
    eager = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    monkeypatch.setattr(align, "load", lambda reference: pytest.fail("a model was held"))
    said: list[int] = []
    monkeypatch.setattr(align, "say_memory", lambda bar, count: said.append(count))
    assert main([*asked, "--out", str(tmp_path / "apart")]) == 0
    lazy = json.loads(capsys.readouterr().out)
    assert said == [widened_memory.estimate_lazy_widths(pair, 16, 128)]
    assert lazy["dtype"] == eager["dtype"] == "float16"
    assert lazy["objective"][-1] == pytest.approx(eager["objective"][-1], abs=1e-5)
    assert max(lazy["function_error"], eager["function_error"]) < 1e-5
    assert lazy["written_errors"] == pytest.approx(eager["written_errors"], abs=3e-3)
    wide = load_folder(Path(pair[1] if second else pair[0]))
    for number, folder in enumerate(("reference", ".")):
        before = load_folder(Path(pair[number]))
        module = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "apart" / folder)
        assert isinstance(module, type(before.module()))
        other = load_folder(tmp_path / "apart" / folder)
        assert {tensor.dtype for tensor in other.state.values()} == {torch.float16}
        assert other.family.sizes(other.config) == wide.family.sizes(wide.config)
        inputs = random_inputs(before, 2)
        assert function_error(before, other, inputs) < 2e-2
        assert function_error(load_folder(Path(pair[1 - number])), other, inputs) > 0.1
        if not second:  # else directions that the narrow one leaves open are anyone's
            one = load_folder(tmp_path / "whole" / folder)
            for name, tensor in one.state.items():
                difference = (tensor.float() - other.state[name].float()).abs().max()
                assert difference < 2e-3 * tensor.float().abs().max() + 1e-4, name


def test_which_pairs_are_read_lazily(
    pair: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_lazily(pair, "weight", "cpu", None) is None  # small ones are held
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    for models in (pair, pair[::-1]):
        opened = open_lazily(models, "weight", "cpu", None)
        assert opened is not None and all(is_lazy(model.state) for model in opened.models)
    assert open_lazily(pair, "activation", "cpu", None) is None
    assert open_lazily(pair, "reference", "cpu", None) is None
    family = load_folder(Path(pair[0])).family.name
    key = "n_layer" if family == "gpt2" else "num_hidden_layers"
    tiny(family, 2, **(SIZES[family][1] | {key: 3})).save(tmp_path / "deeper")
    assert open_lazily([pair[0], str(tmp_path / "deeper")], "weight", "cpu", None) is None
    monkeypatch.setattr("lmc_core.analysis.memory.available", lambda: 1_000_000)
    with pytest.raises(BadInput, match="of memory and 1.00 MB are free"):
        open_lazily(pair, "weight", "cpu", None)


def test_what_is_announced_grows_with_depth_by_the_maps_alone(tmp_path: Path) -> None:
    found = []
    for layers in (2, 5):
        folders = [str(tmp_path / f"{name}{layers}") for name in ("narrow", "wide")]
        for folder, sizes in zip(folders, SIZES["gpt2"], strict=True):
            tiny("gpt2", 0, **(sizes | {"n_layer": layers})).save(Path(folder), torch.float16)
        both = [widened_memory.Sizes(*each, 2) for each in lazy_memory.read_plain(folders)]
        maps = widened_memory.count_widened_maps(*both)
        found.append((widened_memory.estimate_lazy_widths(folders, 16, 128), maps))
    (few, few_maps), (many, many_maps) = found
    assert many - few == many_maps - few_maps > 0
