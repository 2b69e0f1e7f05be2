"""`hf-dataset:NAME[:SPLIT]` on local data sets, and at once one sentence where there is no
connection.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

from lmc_core.errors import BadInput, UnknownName
from lmc_core.tasks import Examples, hub_data, task_for
from lmc_core.tasks.learning import Learning
from tests.tasks.makers import model, text_of, word_tokenizer

datasets = pytest.importorskip("datasets", reason="the extra hub is not installed")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A data set of text with two splits."""
    for split, seed in (("train", 1), ("test", 2)):
        rows = [{"id": str(i), "text": text_of(30, 100 * seed + i)} for i in range(40)]
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / "words" / f"{split}.parquet")
    return tmp_path / "words"


@pytest.fixture
def reader(tmp_path: Path) -> Any:
    word_tokenizer(tmp_path / "model")
    return model(folder=tmp_path / "model")


def pictures(folder: Path, labels: Any, classes: int = 3, **columns: Any) -> Path:
    rows = {"image": [Pictures.fromarray(np.full((9, 9, 3), 10 * i, np.uint8)) for i in range(12)]}
    rows |= {"label": [i % classes for i in range(12)]} | columns
    features = datasets.Features(
        {"image": datasets.Image(), "label": labels} | {k: datasets.Value("int64") for k in columns}
    )
    datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / "test.parquet")
    return folder


@pytest.fixture
def viewer(tmp_path: Path) -> Any:
    folder = tmp_path / "vit"
    folder.mkdir()
    prepared = {"size": 8, "resample": 2, "image_mean": [0.0] * 3, "image_std": [1.0] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    (folder / "config.json").write_text(
        json.dumps({"id2label": {"0": "owl", "1": "cat", "2": "dog"}})
    )
    return model("images", folder=folder)


def by_row(examples: Examples) -> list[int]:
    """The labels in the order of the rows, which the grey values number."""
    rows = (examples.inputs[:, 0, 0, 0] * 25.5).round().long()
    assert sorted(rows.tolist()) == list(range(len(rows)))
    return examples.targets[rows.argsort()].tolist()


def test_text(words: Path, reader: Any) -> None:
    task = task_for(f"hf-dataset:{words}", reader)
    assert (
        task.splits == ("train", "test") and task.kind == "text" and task.name == "hf-dataset:words"
    )
    rows = datasets.load_dataset(str(words), split="test")["text"]
    expected = word_tokenizer(reader.folder).encode("\n\n".join(rows), add_special_tokens=False).ids
    found = task.examples("test", length=10)
    assert found.inputs.flatten().tolist() == expected[: len(found) * 10]
    assert task.digest("test", 5, length=10) != task.digest("train", 5, length=10)


def test_a_split_as_a_whole(words: Path, reader: Any) -> None:
    task = task_for(f"hf-dataset:{words}:train", reader)
    assert task.splits == ("train",) and len(task.examples("train", length=10)) == 119
    with pytest.raises(UnknownName, match="no split 'dev'; expected one of: test, train"):
        task_for(f"hf-dataset:{words}:dev", reader)


def test_images_by_names_of_labels(tmp_path: Path, viewer: Any) -> None:
    folder = pictures(tmp_path / "set", datasets.ClassLabel(names=["cat", "dog", "owl"]))
    task = task_for(f"hf-dataset:{folder}", viewer)
    found = task.examples("test")
    assert by_row(found) == [1, 2, 0] * 4  # as the model numbers them
    assert found.inputs.shape == (12, 3, 8, 8)
    row = (found.inputs[:, 0, 0, 0] * 25.5).round().argsort()[5]
    assert torch.allclose(found.inputs[row], torch.full((3, 8, 8), 50 / 255))
    assert task.digest(count=4) != task.digest(count=5)


def test_data_that_is_sorted_by_label_is_drawn_in_proportion(tmp_path: Path, viewer: Any) -> None:
    folder = tmp_path / "set"
    labels = [i // 40 for i in range(120)]
    rows = {
        "image": [Pictures.fromarray(np.full((9, 9, 3), 2 * i, np.uint8)) for i in range(120)],
        "label": labels,
    }
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    for split in ("train", "test"):
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}.parquet")
    task = task_for(f"hf-dataset:{folder}", viewer)
    some = task.examples("test", 30, seed=4)
    learning = Learning.split(task.examples("train", 90, seed=4), seed=4)
    assert (len(learning.train), len(learning.held_out)) == (85, 5)
    train = learning.train.targets
    for part in (some.targets, some.targets[:9], train, train[:16], learning.held_out.targets):
        assert torch.bincount(part, minlength=3).tolist() == pytest.approx(
            [len(part) / 3] * 3, abs=1.4
        )
    shades = (learning.train.inputs[:, 0, 0, 0] * 255 / 2).round().long()
    assert torch.equal(train, shades // 40)  # each image has kept its own label


def test_images_by_numbers(tmp_path: Path, viewer: Any) -> None:
    folder = pictures(tmp_path / "set", datasets.Value("int64"))
    assert by_row(task_for(f"hf-dataset:{folder}", viewer).examples("test")) == [0, 1, 2] * 4
    unnamed = pictures(tmp_path / "other", datasets.ClassLabel(names=["c", "b", "a"]))
    task = task_for(f"hf-dataset:{unnamed}", viewer)
    assert (
        by_row(task.examples("test")) == [0, 1, 2] * 4 and "order of the data set" in task.sentence
    )
    many = pictures(tmp_path / "many", datasets.Value("int64"), classes=4)
    with pytest.raises(BadInput, match="labels from 0 to 3; m has the classes 0 to 2"):
        task_for(f"hf-dataset:{many}", viewer).examples("test")


def test_columns_that_are_missing(tmp_path: Path, reader: Any, viewer: Any, words: Path) -> None:
    with pytest.raises(BadInput, match="column of images and one of labels; it has id, text"):
        task_for(f"hf-dataset:{words}", viewer)
    with pytest.raises(BadInput, match="column of text called .*; it has image, label"):
        task_for(f"hf-dataset:{pictures(tmp_path / 'set', datasets.Value('int64'))}", reader)


def test_damaged_and_empty_folders(tmp_path: Path, reader: Any) -> None:
    (tmp_path / "bad").mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        task_for(f"hf-dataset:{tmp_path / 'bad'}", reader)
    (tmp_path / "bad" / "test.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(BadInput, match="cannot be read"):
        task_for(f"hf-dataset:{tmp_path / 'bad'}", reader).examples("test", length=4)


def test_names() -> None:
    found = [
        hub_data.parse(f"hf-dataset:{text}")
        for text in ("imdb", "a/b", "a/b/c", "a/b/c:test[:10%]")
    ]
    assert [(n.path, n.configuration, n.split) for n in found] == [
        ("imdb", None, None), ("a/b", None, None), ("a/b", "c", None), ("a/b", "c", "test[:10%]"),
    ]  # fmt: skip
    assert str(found[-1]) == "hf-dataset:a/b/c:test[:10%]"
    for text in ("", ":test", "/"):
        with pytest.raises(BadInput, match="hf-dataset:NAME"):
            hub_data.parse(f"hf-dataset:{text}")
    for text in ("a/b/c/d", "a//b"):
        with pytest.raises(BadInput, match="There is no folder"):
            hub_data.parse(f"hf-dataset:{text}")


def test_without_a_connection_it_says_so_at_once(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nothing answers
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    begin = time.monotonic()
    with pytest.raises(
        BadInput, match="not in the local cache of data sets, and 127.0.0.1 cannot be reached"
    ):
        task_for("hf-dataset:nobody/nothing", reader)
    assert time.monotonic() - begin < 2 and not datasets.config.HF_HUB_OFFLINE
