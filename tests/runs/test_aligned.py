"""Pairs that were aligned are kept, found again, and never mistaken for others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmc_core.models.load import load
from lmc_core.runs import cache, kept
from lmc_core.runs.cache import aligned_pair, find_pair_key
from lmc_core.runs.inputs import open_inputs
from lmc_core.runs.kinds.barrier import compute, make_request
from lmc_core.runs.request import PairRequest
from lmc_core.runs.requests.barrier import BarrierRequest

WORDS = {"task": "plays", "examples": 6, "points": 3, "refine": 0, "device": "cpu", "length": 16}


@pytest.fixture
def request_of(tiny_gpt2_pair: tuple[Path, Path]):
    a, b = map(str, tiny_gpt2_pair)
    return lambda **words: make_request(a, b, **(WORDS | words))


def aligned_twice(request: BarrierRequest) -> tuple:
    models, task, examples = open_inputs(request)
    said: list[str] = []
    pair = tuple(models)
    first = aligned_pair(request, pair, examples, task, lambda share, words: None)
    second = aligned_pair(request, pair, examples, task, lambda share, words: said.append(words))
    return first, second, said


@pytest.mark.parametrize("method", ["weight", "soft"])
def test_a_pair_is_read_back_as_it_was(method, request_of) -> None:
    settings = {"temperature": 0.1} if method == "soft" else {}
    first, second, said = aligned_twice(request_of(method=method, settings=settings))
    assert said == ["aligned before"]
    for one, other in ((first.a, second.a), (first.b, second.b), (first.end, second.end)):
        assert (
            one.state.keys() == other.state.keys()
            and one.config == other.config
            and one.name == other.name
        )
        assert all(torch.equal(tensor, other.state[name]) for name, tensor in one.state.items())
    assert first.alignment.distance(second.alignment) == 0.0
    assert (first.function_error, first.seconds, first.trace.objective) == (
        second.function_error, second.seconds, second.trace.objective,
    )  # fmt: skip
    assert (first.soft is None) == (second.soft is None) == (method != "soft")


def test_a_narrow_model_in_a_wide_one_is_read_back() -> None:
    names = "zoo:vit-fashion-narrow-s0", "zoo:vit-fashion-s0"
    request = make_request(*names, examples=8, points=3, refine=0, device="cpu")
    first, second, said = aligned_twice(request)
    assert said and first.places.keys() == second.places.keys() != set()
    assert all(
        torch.equal(first.places[name].owner, second.places[name].owner) for name in first.places
    )
    assert all(torch.equal(tensor, second.a.state[name]) for name, tensor in first.a.state.items())


def test_the_key_holds_what_an_alignment_depends_on_and_no_more(request_of) -> None:
    plain = request_of()
    same = [
        replace(plain, points=9),
        replace(plain, examples=4, split="validation"),
        PairRequest.of(plain, what="else"),
    ]
    assert {find_pair_key(each) for each in same} == {find_pair_key(plain)}
    learned = request_of(method="learned", settings={"steps": 2})
    others = [
        replace(plain, digests=plain.digests[::-1]), replace(plain, classes=plain.classes[1:]), replace(plain, seed=1),
        replace(plain, settings=(("starts", 1),)), learned, replace(learned, learn=(learned.learn or 0) + 1),
        replace(learned, task="austen"), replace(plain, device="cuda"),
    ]  # fmt: skip
    assert len({find_pair_key(each) for each in [plain, *others]}) == len(others) + 1


def test_what_a_method_that_learns_sees_is_part_of_the_key_and_of_others_is_not(request_of) -> None:
    learned, plain = request_of(method="learned", settings={"steps": 2}), request_of()
    for change in ({"length": 8}, {"learn_data": "0" * 64}):
        assert find_pair_key(replace(learned, **change)) != find_pair_key(learned)
        assert find_pair_key(replace(plain, **change)) == find_pair_key(plain)


def test_what_was_learned_of_a_temperature_leaves_the_alignment_alone(request_of) -> None:
    assert find_pair_key(request_of(temperature=True)) == find_pair_key(request_of())


def test_a_damaged_pair_is_aligned_again(request_of, home: Path) -> None:
    request = request_of()
    barrier = compute(request)[0]["barrier"]
    (file,) = home.glob("aligned/*/b.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert compute(request)[0]["barrier"] == barrier
    load(str(request.models[0]))  # the models themselves are as they were


def test_the_least_recently_used_pairs_give_way(
    request_of, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "ROOM", 1)
    first, second = request_of(), request_of(seed=1)
    compute(first)
    folder = home / "aligned" / find_pair_key(first)
    assert folder.is_dir()
    os.utime(folder, (1, 1))
    compute(second)
    assert not folder.exists() and (home / "aligned" / find_pair_key(second)).is_dir()


def test_a_full_disk_is_no_reason_to_fail(request_of, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments, **words) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "save_file", full)
    assert compute(request_of())[0]["barrier"] is not None


def test_run_again_aligns_again(request_of, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmc_core.runs.executors import obtain
    from lmc_core.runs.store import Store

    count: list[int] = []
    real = cache.align_pair
    monkeypatch.setattr(cache, "align_pair", lambda *a, **k: count.append(1) or real(*a, **k))
    request, store = request_of(), Store()
    first = obtain(request, lambda share, words: None, store)
    obtain(replace(request, split="validation"), lambda share, words: None, store)
    assert len(count) == 1  # kept for other data
    folder = cache.pair_folder(request)
    (folder / "of the first").touch()
    second = obtain(request, lambda share, words: None, store, fresh=True)
    # the new one is in its place
    assert len(count) == 2 and folder.is_dir() and not (folder / "of the first").exists()
    assert second.result["loss"] == first.result["loss"] and second.written > first.written
    obtain(replace(request, points=5), lambda share, words: None, store)
    assert len(count) == 2
