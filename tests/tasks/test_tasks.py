"""The shipped data: sizes, splits that do not overlap, hashes, and the loss."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmc_core.errors import BadInput, UnknownName
from lmc_core.folders import assets
from lmc_core.tasks import TASKS, austen, characters, fashion_mnist, get_task, losses
from lmc_core.tasks.plays import alphabet, plays, tokens

ROOT = Path(__file__).resolve().parents[2]


def test_the_data_is_what_its_hashes_say() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_assets.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert len(json.loads((assets() / "data" / "hashes.json").read_text())) == done.stdout.count(
        "ok "
    )


def test_fashion_mnist_is_stratified_and_its_splits_do_not_overlap() -> None:
    with np.load(assets() / "data" / "fashion-mnist.npz") as arrays:
        for split, size in [("train", 8000), ("validation", 2000), ("test", 2000)]:
            labels = arrays[f"{split}_labels"]
            assert len(labels) == size and set(np.bincount(labels)) == {size // 10}
        assert not np.intersect1d(arrays["train_index"], arrays["validation_index"]).size
    pixels = get_task("fashion-mnist").examples("train").inputs
    assert (
        pixels.shape == (8000, 1, 28, 28)
        and abs(float(pixels.mean())) < 0.02
        and abs(float(pixels.std()) - 1) < 0.02
    )


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in values.shape
    )
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def test_the_full_training_set_has_no_image_of_validation(tmp_path: Path) -> None:
    with np.load(assets() / "data" / "fashion-mnist.npz") as arrays:
        taken = arrays["validation_index"]
    # the first of the sixty thousand; each has its number as its pixels and its last digit as its
    # class
    count = 200
    images = np.arange(count, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    for stem in ("train", "t10k"):
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    found = fashion_mnist.full_set("train", tmp_path)
    numbers = (
        ((found.inputs[:, 0, 0, 0] * fashion_mnist.STD + fashion_mnist.MEAN) * 255)
        .round()
        .int()
        .tolist()
    )
    held = {int(i) for i in taken if i < count}
    assert held and set(numbers) == set(range(count)) - held
    assert found.targets.tolist() == [number % 10 for number in numbers]
    assert len(fashion_mnist.full_set("test", tmp_path)) == count
    with pytest.raises(BadInput, match="dataset-fashion-mnist"):
        fashion_mnist.full_set("train", tmp_path / "nothing")


def test_plays_are_split_by_position_without_overlap() -> None:
    assert len(plays()) == 8 and len(alphabet()) == TASKS["plays"].classes == 81
    lengths = [len(tokens(split)) for split in ("train", "validation", "test")]
    assert sum(lengths) == sum(len(play) for play in plays())
    assert lengths[0] / sum(lengths) == pytest.approx(0.8, abs=1e-4)
    last = "".join(alphabet()[i] for i in tokens("test")[-200:])
    assert plays()[-1].endswith(last)


def test_austen_is_written_in_the_alphabet_of_the_plays() -> None:
    task = get_task("austen")
    assert task.stream is not None and task.classes == TASKS["plays"].classes
    streams = [task.stream(split) for split in ("train", "validation", "test")]
    novels = austen.novels()
    assert [novel[1:20] for novel in novels] == [
        "PRIDE AND PREJUDICE",
        "Persuasion\n\n\nby\n\nJa"[:19],
    ]
    for novel in novels:  # the parts of a novel, one after another, are the novel
        assert (
            "".join(characters.part(novel, split) for split in ("train", "validation", "test"))
            == novel
        )
    assert 0.9 < sum(map(len, streams)) / sum(map(len, plays())) < 1.1
    opening = "".join(alphabet()[i] for i in streams[0][:200])
    assert "It is a truth universally acknowledged" in opening
    assert int((streams[0] == alphabet().index("\f")).sum()) == 2
    assert "died 18OO" in novels[1]


def test_a_character_that_the_alphabet_lacks_is_named() -> None:
    assert characters.encode("ac", "abc").tolist() == [0, 2]
    with pytest.raises(
        BadInput, match=r"lacks '€' \(U\+20AC\), 'd' \(U\+0064\), first at character 2"
    ):
        characters.encode("a€d", "abc")


def test_targets_are_the_next_characters() -> None:
    examples = get_task("plays").examples("test", length=32)
    flat_inputs, flat_targets = examples.inputs.flatten(), examples.targets.flatten()
    assert torch.equal(flat_inputs[1:], flat_targets[:-1])


def test_losses_against_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 7, generator=generator)
    targets = torch.randint(7, (3, 4), generator=generator)
    found, correct = losses(logits, targets)
    for i in range(3):
        each = [float(F.cross_entropy(logits[i, j], targets[i, j])) for j in range(4)]
        assert float(found[i]) == pytest.approx(sum(each) / 4, rel=1e-6)
        assert float(correct[i]) == pytest.approx(
            sum(int(logits[i, j].argmax() == targets[i, j]) for j in range(4)) / 4
        )


def test_draws_depend_on_the_seed_alone() -> None:
    task = get_task("fashion-mnist")
    one, two, other = (
        task.examples("test", 50, 1),
        task.examples("test", 50, 1),
        task.examples("test", 50, 2),
    )
    assert torch.equal(one.inputs, two.inputs) and not torch.equal(one.inputs, other.inputs)
    assert len(task.examples("test", 10**9)) == 2000


def test_bad_requests() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'plays'"):
        get_task("play")
    with pytest.raises(UnknownName, match="split"):
        get_task("plays").examples("tests")
    with pytest.raises(BadInput, match="2 examples"):
        get_task("plays").examples("test", 1)
