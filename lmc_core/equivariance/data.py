"""Small data whose symmetry is known: digits and clothing as images, and sets of digits.

    symmetric    every example moved by an element drawn at random: the distribution is
                 invariant, the sample nearly
    orbit        every example in all its positions: the sample itself is invariant
    partly       half of the examples moved at random, half as they are
    upright      as they are
    broken       moved at random, and the label tells something about the movement

A set is one of digits, its label the largest of them. "As they are" is in ascending order then.
Broken images: the labels of two classes change places unless the image is as it is (`EXCHANGED`).
Broken sets: the last element does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.groups import Group
from lmc_core.errors import BadInput, UnknownName
from lmc_core.folders import assets
from lmc_core.lazy_torch import torch

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {
    "symmetric": "Symmetric: each moved at random",
    "orbit": "Orbit: each in every position",
    "partly": "Partly: half of them moved",
    "upright": "As they are",
    "broken": "Broken: the label depends on the movement",
}
SOURCES = {"digits": "Digits, 8x8", "fashion": "Clothing, 14x14"}
SPLITS = ("train", "validation", "test")
EXCHANGED = (4, 7)  # classes whose labels change places when a broken image is moved
POOL = {"train": 800, "validation": 400, "test": 597}  # of the 1,797 digits
MOST = {"digits": 800, "fashion": 8000}  # training images there are
HELD_OUT = 500  # examples of a split that is not trained on, before they are moved


@dataclass(frozen=True)
class Sample:
    """Examples of one split.

    Attributes:
        inputs: `[n, inputs]`, flat.
        labels: `[n]`.
        orbits: how many consecutive examples are one example in its positions: the order of the
            group, or 1.
    """

    inputs: Tensor
    labels: Tensor
    orbits: int

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)

    def first(self, count: int) -> Sample:
        """The first examples, whole orbits of them, at most `count` rows but one orbit at least."""
        rows = max(count // self.orbits, 1) * self.orbits
        return Sample(self.inputs[:rows], self.labels[:rows], self.orbits)

    def to(self, device: str, dtype: torch.dtype) -> Sample:
        """The same examples on a device, the inputs in a type."""
        return Sample(self.inputs.to(device, dtype), self.labels.to(device), self.orbits)


def domain_of(source: str, group: Group) -> Domain:
    """Return what the inputs of a source are under a group.

    Raises:
        UnknownName: there is no source of that name.
        BadInput: sets are made of digits alone.
    """
    if source not in SOURCES:
        raise UnknownName.of("data", source, SOURCES)
    if group.acts == "set":
        if source != "digits":
            raise BadInput(
                "Sets are made of digits; choose the data 'digits', or a group that acts on images."
            )
        return Domain(group, len(group.matrices[0]), 64, 10)
    return Domain(group, 8 if source == "digits" else 14, 1, 10)


def sample(
    source: str, kind: str, domain: Domain, split: str, seed: int, examples: int | None = None
) -> Sample:
    """Return examples of a split; which ones, and how they are moved, belongs to the seed.

    Args:
        source: a key of `SOURCES`.
        kind: a key of `KINDS`.
        domain: of the inputs.
        split: "train", "validation" or "test"; these share no image whatever the seed.
        seed: of the draw.
        examples: how many, before they are moved; None for all that a held-out split has, at most
            500.

    Raises:
        UnknownName: there is no such kind or split.
        BadInput: more examples than there are.
    """
    if kind not in KINDS:
        raise UnknownName.of("kind of data", kind, KINDS)
    images, labels = _read(source, split)
    count = min(len(labels), HELD_OUT) if examples is None else examples
    if not 1 <= count <= len(labels):
        raise BadInput(
            f"1 to {len(labels)} examples of {source} are expected in the split {split}; {count} "
            "came."
        )
    random = np.random.default_rng([seed, SPLITS.index(split)])
    order = domain.group.order
    if domain.images:
        drawn = random.permutation(len(labels))[:count]
        inputs, labels = images[drawn].reshape(count, -1), labels[drawn]
    else:
        drawn = random.integers(len(labels), size=(count, domain.places))
        # ascending digits
        drawn = np.take_along_axis(drawn, np.argsort(labels[drawn], axis=1, kind="stable"), axis=1)
        inputs, labels = images[drawn].reshape(count, -1), labels[drawn]
    if kind == "orbit":
        inputs, labels = np.repeat(inputs, order, 0), np.repeat(labels, order, 0)
    moved = _movements(kind, len(labels), order, random)
    inputs = np.take_along_axis(inputs, domain.input.places[moved], axis=1)
    found = _labels(kind, domain, labels, moved)
    return Sample(
        torch.from_numpy(inputs), torch.from_numpy(found), order if kind == "orbit" else 1
    )


def _movements(kind: str, count: int, order: int, random: np.random.Generator) -> np.ndarray:
    """For every example the element of the group that moves it."""
    if kind == "orbit":
        return np.tile(np.arange(order), count // order)
    drawn = random.integers(order, size=count)
    if kind == "upright":
        return np.zeros(count, dtype=np.int64)
    return np.where(random.random(count) < 0.5, drawn, 0) if kind == "partly" else drawn


def _labels(kind: str, domain: Domain, labels: np.ndarray, moved: np.ndarray) -> np.ndarray:
    if domain.images:
        if kind != "broken":
            return labels
        other = np.arange(10)
        other[list(EXCHANGED)] = EXCHANGED[::-1]
        return np.where(moved > 0, other[labels], labels)
    in_order = np.take_along_axis(labels, domain.positions.places[moved], axis=1)
    return (in_order[:, :-1] if kind == "broken" else in_order).max(axis=1)


@lru_cache(maxsize=8)
def _read(source: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images with mean 0 and deviation 1 over the training images, `[n, side, side]`, and
    labels.
    """
    if split not in SPLITS:
        raise UnknownName.of("split", split, SPLITS)
    images, labels = (_digits if source == "digits" else _fashion)(split)
    trained = images if split == "train" else _read_raw(source)
    images = (images - trained.mean()) / trained.std()
    return images.astype(np.float32), labels.astype(np.int64)


def _read_raw(source: str) -> np.ndarray:
    return (_digits if source == "digits" else _fashion)("train")[0]


def _digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(assets() / "data" / "digits.npz") as arrays:
        images, labels = arrays["images"].astype(np.float64), arrays["labels"]
    order = np.random.default_rng(0).permutation(len(labels))
    first = sum(POOL[name] for name in SPLITS[: SPLITS.index(split)])
    chosen = order[first : first + POOL[split]]
    return images[chosen], labels[chosen]


def _fashion(split: str) -> tuple[np.ndarray, np.ndarray]:
    """The shipped images at half their size: means of 2x2 pixels, which turn as the image does."""
    with np.load(assets() / "data" / "fashion-mnist.npz") as arrays:
        images, labels = arrays[f"{split}_images"].astype(np.float64), arrays[f"{split}_labels"]
    return images.reshape(len(labels), 14, 2, 14, 2).mean((2, 4)), labels
