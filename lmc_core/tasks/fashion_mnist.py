"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747): 28x28 grey images of ten kinds of
clothing.

Shipped: 8,000 training, 2,000 validation and 2,000 test images, stratified. For training the full
set is read where Debian's package `dataset-fashion-mnist` puts it; the 2,000 validation images are
left out of it.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from lmc_core.errors import BadInput
from lmc_core.folders import assets
from lmc_core.tasks.preparation import Preparation
from lmc_core.tasks.task import Examples, InMemory, Task

MEAN, STD = 0.2860, 0.3530
LABELS = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FULL_SET = Path("/usr/share/datasets/fashion-mnist")  # where the Debian package installs it


def _examples(images: np.ndarray, labels: np.ndarray) -> Examples:
    pixels = (torch.from_numpy(images.astype(np.float32)) / 255 - MEAN) / STD
    return Examples(pixels[:, None], torch.from_numpy(labels.astype(np.int64)))


@lru_cache(maxsize=3)
def _read(split: str, length: int) -> InMemory:
    with np.load(assets() / "data" / "fashion-mnist.npz") as arrays:
        return InMemory(_examples(arrays[f"{split}_images"], arrays[f"{split}_labels"]))


def _idx(path: Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def full_set(part: str, folder: Path = FULL_SET) -> Examples:
    """Read all 60,000 training images but the 2,000 of validation (`part="train"`), or all 10,000
    of `part="test"`.

    Raises:
        BadInput: if the files are not in `folder`.
    """
    stem = {"train": "train", "test": "t10k"}[part]
    try:
        images = _idx(folder / f"{stem}-images-idx3-ubyte.gz")
        labels = _idx(folder / f"{stem}-labels-idx1-ubyte.gz")
    except FileNotFoundError as error:
        raise BadInput(
            f"The full Fashion-MNIST is expected in {folder} and is not there; "
            "install Debian's package dataset-fashion-mnist, or train on the shipped subset with "
            "--subset."
        ) from error
    if part == "train":
        with np.load(assets() / "data" / "fashion-mnist.npz") as arrays:
            keep = np.setdiff1d(np.arange(len(labels)), arrays["validation_index"])
        images, labels = images[keep], labels[keep]
    return _examples(images, labels)


TASK = Task(
    name="fashion-mnist",
    sentence="Ten kinds of clothing in grey 28x28 images; 2,000 test images are shipped.",
    kind="images",
    unit="nats",
    classes=10,
    licence="MIT (Zalando SE)",
    read=_read,
    labels=LABELS,
    preparation=Preparation(1, 28, (28, 28), "bilinear", False, 1 / 255, (MEAN,), (STD,)),
)
