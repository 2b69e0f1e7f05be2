"""The computation behind the page Alignment, on tiny models of every family of the zoo and of
unequal widths.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.matching.pair import AlignedPair, canonical
from lmc_core.matching.trace import Trace
from lmc_core.models.common import in_float32
from lmc_core.models.model import Model
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.kinds import alignment
from lmc_core.runs.kinds.alignment import compute
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.requests.alignment import AlignmentRequest
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.task import Examples
from tests.matching.test_widths import planted as planted_width
from tests.networks import random_inputs, random_model

ZOO = ["vit", "vit_hf", "gpt2", "llama", "gpt_neox", "mixtral", "qwen2_moe"]
TASK = SimpleNamespace(
    name="noise", sentence="random inputs", unit="nats", score="accuracy", notes=()
)


def asked_of(a: Model, b: Model, monkeypatch: pytest.MonkeyPatch, **words) -> AlignmentRequest:
    """A request about two models in memory, on random inputs."""
    inputs = random_inputs(a, 8)
    examples = Examples(
        inputs if a.family.takes == "text" else inputs.float(), torch.zeros(8, dtype=torch.int64)
    )
    monkeypatch.setattr(
        alignment, "open_inputs", lambda request: ([in_float32(a), in_float32(b)], TASK, examples)
    )
    classes = tuple(
        sorted((kind, value.value) for kind, value in choose_classes(a.layout.spaces).items())
    )
    names = (a.name, b.name)
    return AlignmentRequest(
        models=names,
        names=names,
        digests=("a", "b"),
        task="noise",
        classes=classes,
        tokens=32,
        **words,
    )


def consistent(result: dict, arrays: dict[str, np.ndarray]) -> None:
    """Every list has an entry for each copy, every array is of the size that the result says, and
    all of it is JSON.
    """
    json.dumps(result, allow_nan=False)
    for entry in result["spaces"]:
        name, copies, rows = entry["name"], entry["copies"], -(-entry["size"] // entry["edge"])
        for field in ("before", "after", "distance", "moved", "flipped", "angle", "condition"):
            assert entry[field] is None or len(entry[field]) == copies, field
        for panel in ("before", "after"):
            assert (
                arrays[f"{name}/{panel}"].shape == (copies, rows, rows)
                and arrays[f"{name}/{panel}"].dtype == np.float16
            )
            assert np.isfinite(arrays[f"{name}/{panel}"]).all()
        assert (entry["moved"] is None) != (f"{name}/indices" in arrays)
    for name, stream in result["streams"].items():
        count = len(stream["layers"])
        assert count > 1 and arrays[f"{name}/cka"].shape == (count, count)
        assert all(
            len(stream[field]) == count
            for field in ("tokens", "before", "after", "cka", "unbiased")
        )


@pytest.mark.parametrize("name", ZOO)
def test_every_family_of_the_zoo(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random_model(name, 1), random_model(name, 2)
    request = asked_of(a, b, monkeypatch)
    shares: list[float] = []
    result, arrays = compute(request, lambda share, words: shares.append(share))
    consistent(result, arrays)
    assert {entry["name"] for entry in result["spaces"]} == set(a.layout.spaces)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    assert result["function_error"] < 1e-4 and result["wider"] is None
    units = [entry for entry in result["spaces"] if entry["kind"] == "units"]
    assert all(np.mean(entry["after"]) > np.mean(entry["before"]) for entry in units)
    assert all(
        f"{entry['name']}/phases" in arrays
        for entry in result["spaces"]
        if entry["class"] == "rotary"
    )


@pytest.mark.parametrize("second", [True, False], ids=["narrow-wide", "wide-narrow"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral"])
def test_unequal_widths(name: str, second: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = planted_width(name, 1)
    models = (narrow, wide) if second else (wide, narrow)
    result, arrays = compute(asked_of(*models, monkeypatch))
    consistent(result, arrays)
    assert result["wider"] == wide.name and result["places"]
    for entry in result["spaces"]:
        assert all(value is None or value > 0.999 for value in entry["after"]), entry["name"]


def test_a_planted_element_is_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("llama", 1)
    classes = choose_classes(model.layout.spaces)
    a = canonical(model, classes)
    planted = Alignment.random(a.layout.spaces, classes, torch.Generator().manual_seed(4))
    pair = AlignedPair(
        in_float32(a), in_float32(a), planted, Trace((1.0,), 0.0, "edges", {}, 1), 0.0, 0.0
    )
    monkeypatch.setattr(alignment, "aligned_pair", lambda *arguments: pair)
    result, arrays = compute(asked_of(model, model, monkeypatch))
    entries = {entry["name"]: entry for entry in result["spaces"]}
    for name, element in planted.elements.items():
        if isinstance(element, Permutation):
            assert np.array_equal(arrays[f"{name}/indices"], element.indices.numpy())
        assert all(value == pytest.approx(1, abs=1e-5) for value in entries[name]["after"])
    expected = (
        torch.linalg.eigvals(planted.elements["residual"].matrix()).angle().rad2deg().sort().values
    )
    assert np.allclose(np.sort(arrays["residual/angles"][0]), expected.numpy(), atol=1e-3)
    assert entries["residual"]["before"][0] < 0.5
    plane = next(entry for entry in result["spaces"] if entry["kind"] == "query-key")
    matrix = planted.elements[plane["name"]].matrix()
    half = plane["size"] // 2
    factor = torch.complex(matrix[:, 0, 0], matrix[:, half, 0])
    assert np.allclose(arrays[f"{plane['name']}/stretches"][:, 0], factor.abs().numpy(), rtol=1e-5)
    assert np.allclose(
        arrays[f"{plane['name']}/phases"][:, 0], factor.angle().rad2deg().numpy(), atol=1e-3
    )
    assert plane["condition"][0] > 1.01


def test_large_matrices_are_kept_as_means_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random_model("gpt2", 1), random_model("gpt2", 2)
    whole, full = compute(asked_of(a, b, monkeypatch))
    monkeypatch.setattr(alignment, "KEPT", 64)
    monkeypatch.setattr(alignment, "DRAWN", 4)
    monkeypatch.setattr(alignment, "ELEMENT", 10)
    result, arrays = compute(asked_of(a, b, monkeypatch))
    consistent(result, arrays)
    entry = next(each for each in result["spaces"] if each["kind"] == "units")
    name, edge = entry["name"], entry["edge"]
    assert edge > 1 and arrays[f"{name}/after"].shape[-1] <= 4
    assert arrays[f"{name}/after"][0, 0, 0] == pytest.approx(
        full[f"{name}/after"][0, :edge, :edge].mean(dtype=float), abs=2e-3
    )
    same = next(each for each in whole["spaces"] if each["name"] == name)
    assert entry["after"] == pytest.approx(same["after"])  # means are of the full matrices
    assert "residual/values" not in arrays and "residual/angles" in arrays


def test_a_request_of_the_app_runs_and_comes_back_as_json(
    tiny_gpt2_pair: tuple[Path, Path],
) -> None:
    barrier = make_request(
        *map(str, tiny_gpt2_pair), task="plays", examples=8, device="cpu", length=16
    )
    request = AlignmentRequest.of(barrier, tokens=32)
    assert request_from_json(request.to_json()) == request
    assert request.key not in (barrier.key, AlignmentRequest.of(barrier).key)
    result, arrays = compute(request)
    consistent(result, arrays)
    assert (
        result["key"] == request.key and result["what"] == "alignment" and result["examples"] == 8
    )
    assert result["streams"]["residual"]["tokens"] == [32] * len(
        result["streams"]["residual"]["layers"]
    )


def test_without_a_method_there_is_nothing_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("gpt2", 1)
    with pytest.raises(BadInput, match="choose a method"):
        compute(replace(asked_of(model, model, monkeypatch), method="none"))
