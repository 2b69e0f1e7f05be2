"""`images:FOLDER`: classes, splits, files that are read when they are needed, and every way in
which it can be refused.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lmc_core.errors import BadInput, UnknownName
from lmc_core.tasks import own_images, task_for
from lmc_core.tasks.labels import class_numbers, model_labels
from lmc_core.tasks.learning import Learning
from tests.tasks.makers import model

PREPARED = {"size": 8, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return net_at(tmp_path / "net")


def net_at(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARED))
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"} | config))
    return folder


def fill(folder: Path, count: int, first: int = 0) -> None:
    """Write images whose grey value is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.fromarray(np.full((9, 11, 3), number, np.uint8)).save(folder / f"{number:03}.png")


def greys(inputs: torch.Tensor) -> list[int]:
    return ((inputs.mean((1, 2, 3)) * 0.5 + 0.5) * 255).round().int().tolist()


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    for place, name in enumerate(("cat", "ant", "bee")):
        fill(tmp_path / "animals" / name, 20, 20 * place)
    (tmp_path / "animals" / "ant" / "notes.txt").write_text("not an image")
    (tmp_path / "animals" / ".hidden").mkdir()
    (tmp_path / "animals" / "nothing").mkdir()
    return tmp_path / "animals"


def test_classes_in_alphabetical_order_and_their_splits(animals: Path, net: Path) -> None:
    task = task_for(f"images:{animals}", model("images", folder=net))
    assert (task.unit, task.score, task.classes) == ("nats", "accuracy", 3)
    assert (
        "60 images of 3 classes; classes in the alphabetical order of the folders" in task.sentence
    )
    seen: list[int] = []
    for split, size in (("train", 48), ("validation", 6), ("test", 6)):
        found = task.examples(split)
        assert found.inputs.shape == (size, 3, 8, 8)
        assert set(Counter(found.targets.tolist()).values()) == {size // 3}
        for grey, label in zip(greys(found.inputs), found.targets.tolist(), strict=True):
            assert label == {0: 2, 1: 0, 2: 1}[grey // 20]  # cat, ant, bee
        seen += greys(found.inputs)
    assert sorted(seen) == list(range(60))
    assert sorted(greys(task.examples("test").inputs)) != [18, 19, 38, 39, 58, 59], (
        "the split should not follow the names"
    )


def test_draws_and_batches(animals: Path, net: Path) -> None:
    task = task_for(f"images:{animals}", model("images", folder=net))
    some, again, other = (task.examples("train", 10, seed) for seed in (1, 1, 2))
    assert greys(some.inputs) == greys(again.inputs) != greys(other.inputs)
    parts = list(some.batches(4))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat([part.inputs for part in parts]), some.inputs)
    assert torch.equal(some.first(3).inputs, some.inputs[:3])


def test_every_beginning_has_all_classes(animals: Path, net: Path) -> None:
    """The folder lists class after class; the function check, say, runs on the first few images."""
    task = task_for(f"images:{animals}", model("images", folder=net))
    for count in (None, 24):
        targets = task.examples("train", count, seed=3).targets
        for part in (targets[:6], targets[:18], targets[-9:]):
            assert torch.bincount(part, minlength=3).tolist() == pytest.approx(
                [len(part) / 3] * 3, abs=1
            )


def test_another_order_is_not_read_before_it_is_asked_for(
    animals: Path, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    original = own_images.open_image
    monkeypatch.setattr(
        own_images, "open_image", lambda path: opened.append(path) or original(path)
    )
    examples = task_for(f"images:{animals}", model("images", folder=net)).examples("train")
    chosen = torch.tensor([30, 2, 17])
    some = examples.take(chosen)
    learning = Learning.split(examples, 6, 1)
    assert (
        opened == [] and len(some) == 3 and (len(learning.train), len(learning.held_out)) == (42, 6)
    )
    assert torch.equal(some.inputs, examples.inputs[chosen]) and torch.equal(
        some.targets, examples.targets[chosen]
    )
    opened.clear()
    learning.train.first(5)
    assert len(opened) == 5
    assert sorted(greys(learning.train.inputs) + greys(learning.held_out.inputs)) == sorted(
        greys(examples.inputs)
    )
    assert torch.bincount(learning.held_out.targets).tolist() == pytest.approx([2, 2, 2], abs=1)


def test_only_what_is_asked_for_is_read(
    animals: Path, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    original = own_images.open_image
    monkeypatch.setattr(
        own_images, "open_image", lambda path: opened.append(path) or original(path)
    )
    examples = task_for(f"images:{animals}", model("images", folder=net)).examples("train", 10)
    assert len(examples) == 10 and opened == []
    examples.first(4)
    assert len(opened) == 4


def test_digests_follow_files_and_classes(animals: Path, net: Path) -> None:
    def digest(**changes: Any) -> str:
        return task_for(f"images:{animals}", model("images", folder=net)).digest(
            **{"split": "train"} | changes
        )

    base = digest()
    assert base == digest() and len({base, digest(count=10), digest(split="test")}) == 3
    (net / "preprocessor_config.json").write_text(json.dumps(PREPARED | {"resample": 0}))
    sharper = digest()
    fill(animals / "cat", 1, 100)
    assert len({base, sharper, digest()}) == 3


def test_digests_follow_class_numbers(tmp_path: Path, net: Path) -> None:
    for name in ("0", "1"):
        fill(tmp_path / "set" / name, 4)
    digests = []
    for name in ("1", "2", "1"):
        for other in ("1", "2"):
            if (tmp_path / "set" / other).exists():
                (tmp_path / "set" / other).rename(tmp_path / "set" / name)
        digests.append(
            task_for(f"images:{tmp_path / 'set'}", model("images", folder=net)).digest("train")
        )
    assert digests[0] == digests[2] != digests[1]


def test_folders_of_splits(tmp_path: Path, net: Path) -> None:
    for split, names in (("train", ("a", "b", "c")), ("val", ("b", "c"))):
        for place, name in enumerate(names):
            fill(tmp_path / "set" / split / name, 4, 10 * place)
    task = task_for(f"images:{tmp_path / 'set'}", model("images", folder=net))
    assert task.splits == ("train", "validation")
    assert sorted(task.examples("validation").targets.tolist()) == [1] * 4 + [2] * 4
    with pytest.raises(UnknownName, match="no split 'test'; expected one of: train, validation"):
        task.examples("test")
    fill(tmp_path / "set" / "valid" / "a", 2)
    with pytest.raises(BadInput, match="two folders of the validation split"):
        task_for(f"images:{tmp_path / 'set'}", model("images", folder=net))


def test_class_numbers(tmp_path: Path) -> None:
    plain = model("images", classes=3)
    assert class_numbers(["2", "0"], plain) == (
        {"2": 2, "0": 0},
        "class numbers as the folders are named",
    )
    assert class_numbers(["b", "a", "C"], plain)[0] == {"C": 0, "a": 1, "b": 2}
    named = model(
        "images",
        classes=3,
        folder=net_at(
            tmp_path / "n", id2label={"0": "Tench, Tinca", "1": "crane", "2": "crane, x"}
        ),
    )
    found, how = class_numbers(["tinca", "X"], named)
    assert found == {"tinca": 0, "X": 2} and "labels of the model" in how
    assert model_labels(named)["crane"] == 1  # a whole name wins over another's synonym
    shared = model(
        "images",
        folder=net_at(
            tmp_path / "s", id2label={"0": "maillot, suit", "1": "maillot, top", "2": "hat"}
        ),
    )
    assert "maillot" not in model_labels(shared) and model_labels(shared)["top"] == 1
    timm = model("images", folder=net_at(tmp_path / "t", label_names=["red fox", "wolf", "dog"]))
    assert class_numbers(["Red_Fox", "dog"], timm)[0] == {"Red_Fox": 0, "dog": 2}
    by_name = model("images", folder=net_at(tmp_path / "l", label2id={"x": 2, "y": 0}))
    assert class_numbers(["y", "x"], by_name)[0] == {"y": 0, "x": 2}
    shipped = model("images", card={"task": "fashion-mnist"}, classes=10)
    assert class_numbers(["t-shirt", "Ankle boot"], shipped)[0] == {"t-shirt": 0, "Ankle boot": 9}


@pytest.mark.parametrize(("names", "words"), [
    (["a", "b"], "has 3 classes, and there are 2 folders .'a', 'b'."),
    (["a"], "has 3 classes, and there is 1 folder .'a'."),
    ([*"abcd"], "there are 4 folders .'a', 'b', 'c' and 1 more."),
    (["0", "3"], "'3' names class 3; m has the classes 0 to 2"),
    (["1", "01"], "'01', '1' name the same class, 1"),
])  # fmt: skip
def test_folders_that_fit_no_classes(names: list[str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        class_numbers(names, model("images"))


def test_labels_and_others_are_not_mixed(tmp_path: Path) -> None:
    named = model("images", folder=net_at(tmp_path, id2label={"0": "cat", "1": "dog", "2": "owl"}))
    with pytest.raises(BadInput, match="'own' is none of the labels of m"):
        class_numbers(["cat", "dog", "own"], named)


def test_bad_folders_are_named(tmp_path: Path, net: Path) -> None:
    def refused(path: Path, words: str) -> None:
        with pytest.raises(BadInput, match=words):
            task_for(f"images:{path}", model("images", folder=net))

    refused(tmp_path / "nowhere", "nowhere' does not exist")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "file' is a file")
    (tmp_path / "empty" / "a").mkdir(parents=True)
    refused(tmp_path / "empty", "empty holds no class folders with images")
    fill(tmp_path / "loose", 3)
    refused(tmp_path / "loose", "loose holds images but no class folders")
    with pytest.raises(BadInput, match="images:FOLDER is expected"):
        task_for("images:", model("images", folder=net))
    with pytest.raises(BadInput, match="m takes text; the task"):
        task_for(f"images:{tmp_path}", model("text"))


def test_too_few_images(tmp_path: Path, net: Path) -> None:
    for name in "abc":
        fill(tmp_path / "few" / name, 1)
    task = task_for(f"images:{tmp_path / 'few'}", model("images", folder=net))
    assert len(task.examples("test")) == 3  # of one image each, the only one is for testing
    with pytest.raises(BadInput, match="At least 2 images .* the train split of images:few has 0"):
        task.examples("train")


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_damaged_images_are_named(damage: str, animals: Path, net: Path) -> None:
    victim = animals / "bee" / "045.png"
    content = victim.read_bytes()
    victim.write_bytes({"empty": b"", "cut": content[:50], "text": b"hello"}[damage])
    task = task_for(f"images:{animals}", model("images", folder=net))
    with pytest.raises(BadInput, match="bee/045.png is not readable as an image") as caught:
        for split in task.splits:
            assert len(task.examples(split).inputs)
    assert str(caught.value).count("\n") == 0 and str(animals) not in str(caught.value)


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as outside of tests
        with pytest.raises(BadInput, match="000.png is not readable as an image"):
            own_images.open_image(tmp_path / "000.png")
