"""What a request learns from: training examples of the request, some held out, in proportion and
from everywhere.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lmc_core import folders
from lmc_core.errors import BadInput
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.inputs import open_inputs, open_learning
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.request import ALGORITHM, LEARNING, ModelsRequest
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.store import Store
from lmc_core.tasks import Examples, get_task
from lmc_core.tasks.characters import part
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.plays import plays

Pair = tuple[Path, Path]


def asked_of(pair: Pair, **words: Any) -> BarrierRequest:
    chosen = {"method": "learned", "examples": 8, "points": 3, "refine": 0, "device": "cpu"} | words
    return make_request(*map(str, pair), **chosen)


def learning_of(request: BarrierRequest) -> Learning:
    _, task, _ = open_inputs(request)
    found = open_learning(request, task)
    assert found is not None
    return found


def rows(*parts: Examples) -> list[bytes]:
    """Each row with its target, in an order of their own."""
    each = [pair for part in parts for pair in zip(part.inputs, part.targets, strict=True)]
    return sorted(x.numpy().tobytes() + y.numpy().tobytes() for x, y in each)


@pytest.mark.parametrize(("name", "learn"), [("plays", 200), ("fashion-mnist", 300)])
def test_learned_rows_are_training_rows_and_none_is_held_out(
    name: str, learn: int, tiny_gpt2_pair: Pair, tiny_vit_pair: Pair
) -> None:
    pair, length = (tiny_gpt2_pair, 16) if name == "plays" else (tiny_vit_pair, None)
    request = asked_of(pair, task=name, learn=learn, seed=3, length=length)
    found = learning_of(request)
    held = learn // 16
    assert (len(found.train), len(found.held_out)) == (learn - held, held)
    split = get_task(name).examples("train", learn, 3, 16)
    assert len(set(rows(split))) == learn  # so that a row says which one it is
    assert rows(found.train, found.held_out) == rows(split)
    assert not set(rows(found.train)) & set(rows(found.held_out))
    assert not set(rows(found.train)) & set(rows(get_task(name).examples("test", None, 0, 16)))
    again, other = (
        learning_of(request),
        learning_of(asked_of(pair, task=name, learn=learn, seed=4, length=length)),
    )
    assert torch.equal(again.train.inputs, found.train.inputs) and not torch.equal(
        other.train.inputs, found.train.inputs
    )


@pytest.mark.parametrize(("learn", "held"), [(4, 2), (40, 2), (8000, 500)])
def test_how_many_are_held_out(learn: int, held: int, tiny_vit_pair: Pair) -> None:
    found = learning_of(asked_of(tiny_vit_pair, task="fashion-mnist", learn=learn))
    assert (len(found.train), len(found.held_out)) == (learn - held, held)


def test_of_images_every_part_has_all_classes_in_proportion(
    tiny_vit_pair: Pair, tmp_path: Path
) -> None:
    """Ten classes of 80, listed class by class: the last 50 rows were all of one, and the first 256
    of three.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (900, 28, 28), np.uint8)
    for number in range(900):
        split, name = ("train", number // 80) if number < 800 else ("test", (number - 800) // 10)
        folder = tmp_path / "sorted" / split / str(name)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[number]).save(folder / f"{number:03}.png")
    request = asked_of(tiny_vit_pair, task=f"images:{tmp_path / 'sorted'}", examples=None)
    _, _, examples = open_inputs(request)
    found = learning_of(request)
    assert (len(found.train), len(found.held_out)) == (750, 50)
    for targets in (
        found.train.targets,
        found.held_out.targets,
        found.train.targets[:256],
        examples.targets[:16],
    ):
        counts = torch.bincount(targets, minlength=10).tolist()
        assert counts == pytest.approx([len(targets) / 10] * 10, abs=1.1), counts
    assert rows(found.train, found.held_out) == rows(task_examples(request))


def task_examples(request: BarrierRequest) -> Examples:
    _, task, _ = open_inputs(request)
    return task.examples("train")


def test_held_out_windows_lie_in_every_play(tiny_gpt2_pair: Pair) -> None:
    found = learning_of(asked_of(tiny_gpt2_pair, task="plays", length=16))
    assert len(found.held_out) == 93
    source = get_task("plays").source("train", 16)
    every = source.take(torch.arange(len(source)), 0).inputs
    where = {row.numpy().tobytes(): number for number, row in enumerate(every)}
    ends = torch.tensor([len(part(play, "train")) for play in plays()]).cumsum(0)
    for some in (found.held_out, found.train.first(128), found.train):
        at = torch.tensor([where[row.numpy().tobytes()] for row in some.inputs])
        counts = torch.bincount(torch.bucketize(16 * at, ends, right=True), minlength=8)
        share = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.long)) / ends[-1]
        assert (
            len(counts) == 8
            and ((counts - len(some) * share).abs() < 4 * (len(some) * share).sqrt()).all()
        ), counts
        assert at[1:].lt(at[:-1]).any()  # in no order


def test_requests_that_learn_are_of_another_version(tiny_gpt2_pair: Pair) -> None:
    """Their numbers have changed and those of the others have not, so that only their keys may
    change.
    """
    plain = asked_of(tiny_gpt2_pair, method="weight", task="plays", length=16)
    for words in ({"method": "learned"}, {"method": "activation"}, {"temperature": True}):
        assert (
            asked_of(
                tiny_gpt2_pair, **({"method": "weight", "task": "plays", "length": 16} | words)
            ).algorithm
            == LEARNING
        )
    assert plain.algorithm == ALGORITHM != LEARNING
    assert BarrierRequest.of(plain, learn=40).algorithm == LEARNING
    assert BarrierRequest.from_json(plain.to_json()) == plain


def test_a_request_of_an_older_version_is_asked_again(tiny_gpt2_pair: Pair) -> None:
    """What is computed now would be kept under the key of other numbers."""
    old = replace(asked_of(tiny_gpt2_pair, task="plays", length=16), algorithm=ALGORITHM)
    assert BarrierRequest.from_json(old.to_json()).algorithm == ALGORITHM
    assert BarrierRequest.of(old).algorithm == LEARNING
    with pytest.raises(BadInput, match="made by another version"):
        open_inputs(old)


def test_shipped_results_that_learn_nothing_keep_their_keys() -> None:
    """All of them can be read; those that learned are under the keys of older numbers, and no
    longer answer.
    """
    counts = {False: 0, True: 0}
    for entry in Store(folders.assets() / "results", folders.assets() / "results").list():
        request = request_from_json(entry.request)
        assert request.key == entry.key
        if isinstance(request, ModelsRequest):
            learns = request.learn is not None
            counts[learns] += 1
            today = replace(request, algorithm=None)
            assert (today.key == entry.key) == (request.algorithm == today.algorithm)
            assert learns or today.key == entry.key, request
    assert counts[False] >= 20
