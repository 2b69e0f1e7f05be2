"""`lmc align --out` of large models: read and written one parameter at a time, with the same
result.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lmc_core.analysis import lazy_memory
from lmc_core.cli import align, main
from lmc_core.cli.align_lazily import open_lazily
from lmc_core.errors import BadInput
from lmc_core.matching import objective
from lmc_core.models.lazy import is_lazy
from lmc_core.models.load import load, load_folder
from lmc_core.runs import cache
from lmc_core.symmetry.alignment import Alignment
from tests.networks import random_model


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two models in half precision that count as too large to be copied."""
    for module in (objective, cache):
        monkeypatch.setattr(module, "HELD", 0)
    folders = [tmp_path / name for name in "ab"]
    for seed, folder in enumerate(folders):
        random_model("gpt_neox", seed, torch.float16).save(folder)
    return [str(folder) for folder in folders]


def test_large_models_are_aligned_without_being_held(
    pair: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["align", *pair, "--device", "cpu", "--json"]
    assert main([*asked, "--out", str(tmp_path / "whole")]) == 0
    eager = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    monkeypatch.setattr(align, "load", lambda reference: pytest.fail("a model was held"))
    said: list[int] = []
    monkeypatch.setattr(align, "say_memory", lambda bar, count: said.append(count))
    assert main([*asked, "--out", str(tmp_path / "apart")]) == 0
    lazy = json.loads(capsys.readouterr().out)
    assert said == [lazy_memory.estimate_lazy_pair(pair, 16, 128)]
    assert lazy["dtype"] == eager["dtype"] == "float16"
    assert lazy["objective"][-1] == pytest.approx(eager["objective"][-1], abs=1e-5)
    assert max(lazy["function_error"], eager["function_error"]) < 1e-5
    assert lazy["written_errors"] == pytest.approx(eager["written_errors"], abs=2e-3)
    for folder in (".", "reference"):
        one, other = (load_folder(tmp_path / name / folder) for name in ("whole", "apart"))
        assert {t.dtype for t in other.state.values()} == {torch.float16}
        for name, tensor in one.state.items():
            difference = (tensor.float() - other.state[name].float()).abs().max()
            assert difference < 2e-3 * tensor.float().abs().max() + 1e-4, name
    found = [Alignment.load(tmp_path / n / "alignment.safetensors") for n in ("whole", "apart")]
    assert found[0].distance(found[1]) < 1e-3


def test_the_written_files_are_read_lazily_too(
    pair: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    opened = open_lazily(pair, "weight", "cpu", 16)
    assert opened is not None and all(is_lazy(model.state) for model in opened.models)
    outputs = align.Outputs.of(opened.models, torch.zeros(1, 4, dtype=torch.int64))
    error, words = outputs.error_as_written(0, Path(pair[0]))
    assert error == 0 and words == "float16"
    assert outputs.error_as_written(0, Path(pair[1]))[0] > 0.1


@pytest.mark.parametrize("method", ["learned", "activation"])
def test_methods_that_use_data_hold_models(
    pair: list[str], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    assert open_lazily(pair, method, "cpu", None) is None


def test_models_of_two_sizes_are_held(
    pair: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    random_model("gpt2", 0).save(tmp_path / "other")
    assert open_lazily([pair[0], str(tmp_path / "other")], "weight", "cpu", None) is None
    assert open_lazily(pair, "weight", "cpu", None) is not None


def test_what_does_not_fit_is_refused(pair: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    monkeypatch.setattr("lmc_core.analysis.memory.available", lambda: 1_000_000)
    with pytest.raises(BadInput, match="of memory and 1.00 MB are free"):
        open_lazily(pair, "weight", "cpu", None)


def test_half_precision_is_seen_in_the_size_of_the_files(pair: list[str], tmp_path: Path) -> None:
    load(pair[0]).save(tmp_path / "wide", torch.float32)
    wide = str(tmp_path / "wide")
    half, single = (lazy_memory.estimate_lazy_pair([each] * 2, 2, 8) for each in (pair[0], wide))
    family, config = load(wide).family, load(wide).config
    exact = [lazy_memory.estimate_lazy(family, config, stored, 2, 8) for stored in (2, 4)]
    assert [half, single] == exact


@pytest.fixture
def group(tmp_path: Path, pair: list[str]) -> list[str]:
    """A third model beside the pair."""
    random_model("gpt_neox", 2, torch.float16).save(tmp_path / "c")
    return [*pair, str(tmp_path / "c")]


@pytest.mark.parametrize(
    "asked",
    [["reference"], ["reference", "--set", "reference=2"], ["universe", "--set", "steps=0"]],
)
def test_a_large_group_is_aligned_without_being_held(
    group: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: list[str],
) -> None:
    words = ["align", *group, "--method", *asked, "--device", "cpu", "--json", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    eager = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    monkeypatch.setattr(align, "open_inputs", lambda request: pytest.fail("models were held"))
    said: list[int] = []
    monkeypatch.setattr(align, "say_memory", lambda bar, count: said.append(count))
    assert main([*words, str(tmp_path / "apart")]) == 0
    lazy = json.loads(capsys.readouterr().out)
    assert len(said) == 1 and said[0] > 0
    assert lazy["objective"] == pytest.approx(eager["objective"], abs=1e-5)
    assert lazy["found"] == eager["found"] and lazy["dtype"] == eager["dtype"] == "float16"
    assert max(*lazy["function_errors"], *eager["function_errors"]) < 1e-5
    assert lazy["written_errors"] == pytest.approx(eager["written_errors"], abs=2e-3)
    for folder in (*lazy["folders"], "merged"):
        one, other = (load_folder(tmp_path / name / folder) for name in ("whole", "apart"))
        assert {t.dtype for t in other.state.values()} == {torch.float16}
        for name, tensor in one.state.items():
            difference = (tensor.float() - other.state[name].float()).abs().max()
            assert difference < 2e-3 * tensor.float().abs().max() + 1e-4, name


def test_groups_that_learn_or_are_many_are_held(
    group: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    assert open_lazily(group, "universe", "cpu", None) is None
    assert open_lazily(group, "universe", "cpu", None, {"steps": 3}) is None
    assert open_lazily(group * 3, "reference", "cpu", None) is None
    opened = open_lazily(group, "universe", "cpu", None, {"steps": 0})
    assert opened is not None and len(opened.models) == 3
    assert all(is_lazy(model.state) for model in opened.models)


def test_what_a_group_takes_grows_with_the_maps_alone(group: list[str]) -> None:
    family, config = load(group[0]).family, load(group[0]).config
    layout = family.layout(config)
    few, many = (
        lazy_memory.estimate_lazy_group(family, config, 2, count, 16, 128) for count in (3, 6)
    )
    maps = [lazy_memory.estimate_group_maps(layout, count) for count in (3, 6)]
    assert many - few == maps[1] - maps[0] > 0  # here writing takes most
    assert lazy_memory.estimate_lazy_group_of(group, 16, 128) == few
    # matching takes the square of their number, unless it is said onto which one
    onto, every = (lazy_memory.estimate_group_maps(layout, 8, pairs) for pairs in (7, 28))
    assert lazy_memory.estimate_group_maps(layout, 8) < onto < every
