"""Tensors that have no place in a model: refused by their names in the file, left out with
permission, and then said.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc_core.errors import BadCheckpoint
from lmc_core.models.files.references import Reference, allowing_pickle, ignoring_extra, parse
from lmc_core.models.load import file_notes, full_reference, load
from lmc_core.runs.kinds.barrier import make_request

Pair = tuple[Path, Path]
VALUES = {"v_head.summary.weight": torch.randn(1, 16), "v_head.summary.bias": torch.zeros(1)}


def with_extra(source: Path, folder: Path, extra: dict[str, torch.Tensor]) -> Path:
    shutil.copytree(source, folder)
    save_file(load_file(folder / "model.safetensors") | extra, folder / "model.safetensors")
    return folder


def test_a_value_head(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    folder = with_extra(tiny_gpt2_pair[0], tmp_path / "mine", VALUES)
    with pytest.raises(
        BadCheckpoint,
        match=r"mine/model.safetensors holds 2 tensors that a GPT2LMHeadModel .*--ignore-extra",
    ) as e:
        load(folder)
    assert all(repr(name) in str(e.value) for name in VALUES) and "transformer.v_head" not in str(
        e.value
    )
    model = load(folder, ignore_extra=True)
    assert model.digest == load(tiny_gpt2_pair[0]).digest
    (note,) = model.notes
    assert "2 tensors" in note and all(repr(name) in note for name in VALUES)
    assert file_notes(f"extra:{folder}") == load(f"extra:{folder}").notes == model.notes
    assert file_notes(folder) == ()  # refused where it is loaded


def test_many_are_counted(tiny_vit_pair: Pair, tmp_path: Path) -> None:
    folder = with_extra(
        tiny_vit_pair[0], tmp_path / "mine", {f"probe.{i}.weight": torch.ones(2) for i in range(9)}
    )
    with pytest.raises(
        BadCheckpoint,
        match=r"holds 9 tensors .*: 'probe.0.weight', 'probe.1.weight', 'probe.2.weight' and 6 more",
    ):
        load(folder)
    assert "9 tensors" in load(folder, ignore_extra=True).notes[0]


def test_nothing_is_said_where_there_are_none(tiny_gpt2_pair: Pair) -> None:
    assert load(tiny_gpt2_pair[0], ignore_extra=True).notes == ()


def test_a_parameter_that_is_missing_is_no_extra_one(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    """Permission leaves out what is too much; it fills nothing in."""
    folder = with_extra(tiny_gpt2_pair[0], tmp_path / "mine", VALUES)
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.h.0.ln_1.wait"] = tensors.pop("transformer.h.0.ln_1.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match="'transformer.h.0.ln_1.weight' .* missing"):
        load(folder, ignore_extra=True)


@pytest.mark.parametrize(
    "text",
    ["extra:one", "pickle:extra:one", "extra:pickle:one", "extra:hf:org/name@v1", "extra:./x"],
)
def test_the_permission_travels_with_the_reference(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = parse(text, ["one"])
    assert (
        found.ignore_extra
        and found.allow_pickle == ("pickle:" in text)
        and parse(str(found), ["one"]) == found
    )
    assert ignoring_extra(text) == text and parse(allowing_pickle(text), ["one"]).allow_pickle
    assert parse(ignoring_extra("pickle:one"), ["one"]) == Reference("zoo", "one", None, True, True)
    monkeypatch.chdir(tmp_path)
    assert full_reference("extra:./x") == f"extra:path:{tmp_path / 'x'}"
    assert full_reference("extra:path:x") == full_reference("extra:./x")


def test_results_know_nothing_of_it(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    """The weights say what was measured: with the extra tensors left out, the key is that of the
    model without them.
    """
    folder = with_extra(tiny_gpt2_pair[0], tmp_path / "mine", VALUES)
    options: dict[str, Any] = {"device": "cpu", "examples": 4, "points": 3, "refine": 0}
    one = make_request(f"extra:{folder}", str(tiny_gpt2_pair[1]), **options)
    other = make_request(str(tiny_gpt2_pair[0]), str(tiny_gpt2_pair[1]), **options)
    assert one.key == other.key and one.models[0] == f"extra:path:{folder}"
