"""Large models are read and hashed once by a process that makes a request and computes it."""

from __future__ import annotations

import gc
import shutil
from collections import Counter
from pathlib import Path

import pytest

from lmc_core.errors import BadInput
from lmc_core.models import cache
from lmc_core.models.handover import HANDOVER, Handover
from lmc_core.models.model import Model
from lmc_core.runs.executors import Inline
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.requests.layers import LayersRequest

Counts = tuple[Counter[str], Counter[str]]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """How often each model is read, by reference, and hashed, by name, where all count as large."""
    reads: Counter[str] = Counter()
    hashes: Counter[str] = Counter()
    load, digest = cache.load, Model.__dict__["digest"].func

    def read(reference: str) -> Model:
        reads[reference] += 1
        return load(reference)

    def hashed(model: Model) -> str:
        hashes[model.name] += 1
        return digest(model)

    monkeypatch.setattr(cache, "WARM", 0)
    monkeypatch.setattr(cache, "load", read)
    monkeypatch.setattr(Model.__dict__["digest"], "func", hashed)
    return reads, hashes


def ask(pair: tuple[Path, Path], seed: int = 0) -> BarrierRequest:
    a, b = map(str, pair)
    return make_request(a, b, task="plays", examples=2, points=3, refine=0, seed=seed, device="cpu")


def test_a_run_reads_and_hashes_each_model_once(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, counts: Counts
) -> None:
    Inline(tmp_path).run(ask(tiny_gpt2_pair))
    reads, hashes = counts
    assert len(reads) == 2 and set(reads.values()) == {1}
    assert len(hashes) == 2 and set(hashes.values()) == {1}


def test_models_that_are_aligned_in_place_are_taken_once(
    tiny_gpt2_pair: tuple[Path, Path],
    tmp_path: Path,
    counts: Counts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lmc_core.matching.objective.HELD", 0)
    monkeypatch.setattr("lmc_core.runs.cache.HELD", 0)
    request = ask(tiny_gpt2_pair)
    first, second = (Inline(tmp_path / name).run(request).result["loss"] for name in "ab")
    assert set(counts[0].values()) == {2}
    assert first == pytest.approx(second, abs=1e-7)


def test_changed_files_are_noticed(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, counts: Counts
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(tiny_gpt2_pair[0], folder)
    request = ask((folder, tiny_gpt2_pair[1]))
    shutil.copy(tiny_gpt2_pair[1] / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(BadInput, match="have changed since the request was made"):
        Inline(tmp_path).run(request)


def test_one_request_holds_models_and_only_while_it_is_there(
    tiny_gpt2_pair: tuple[Path, Path], counts: Counts
) -> None:
    one, two = ask(tiny_gpt2_pair), ask(tiny_gpt2_pair, seed=1)
    assert HANDOVER.take(one, 2) == [None, None]  # whatever is computed, the rest is let go
    assert HANDOVER.take(two, 2) == [None, None]
    request = ask(tiny_gpt2_pair)
    derived = LayersRequest.of(request)
    assert all(HANDOVER.take(derived, 2))
    request = ask(tiny_gpt2_pair)
    held = HANDOVER._held
    assert all(held)
    del request, held
    gc.collect()
    assert HANDOVER._held == ()


def test_small_models_are_not_held(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    request = ask(tiny_gpt2_pair)
    assert HANDOVER.take(request, 2) == [None, None]
    assert Handover().take(request, 2) == [None, None]
