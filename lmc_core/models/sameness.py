"""What two models have in common, parameter by parameter: nothing, some of it, or everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from lmc_core.models.lazy import PIECE
from lmc_core.models.model import Model

FIRST = 2**12  # values that tell most tensors apart before all are compared


@dataclass(frozen=True)
class Sameness:
    """Which tensors two models hold alike.

    Attributes:
        same: names of those that are equal in value, whatever their types.
        differ: names of all others, those that one of the two lacks among them.
    """

    same: tuple[str, ...]
    differ: tuple[str, ...]


@dataclass(frozen=True)
class _Look:
    """What is kept of a parameter that was read once.

    Attributes:
        first: digest of its shape and its first values.
        constant: whether all of its values are one.
    """

    first: bytes
    constant: bool


def sameness(a: Model, b: Model) -> Sameness:
    """Compare the parameters of two models.

    A tensor of one value alone, such as gains that are all 1, tells nothing and counts as equal
    only beside another that is.
    """
    return _compare(*_read_looks([a, b]))


def _read_looks(models: Sequence[Model]) -> tuple[list[dict[str, _Look]], list[dict[str, bytes]]]:
    """A look at each parameter of some models, and digests of those whose beginning another has as
    well. One parameter is there at a time; each is read once, and once more where it begins alike.
    """
    looks = [{name: _look_at(model.state[name]) for name in model.state} for model in models]
    times = Counter((name, look.first) for each in looks for name, look in each.items())
    wholes = [
        {
            name: _digest(model.state[name])
            for name, look in each.items()
            if times[name, look.first] > 1
        }
        for model, each in zip(models, looks, strict=True)
    ]
    return looks, wholes


def _compare(looks: Sequence[dict[str, _Look]], wholes: Sequence[dict[str, bytes]]) -> Sameness:
    """What two models have in common, from what `_read_looks` found of them."""
    (a, b), (one, other) = looks, wholes
    names = [*a, *(name for name in b if name not in a)]
    same = [name for name in names if name in one and one[name] == other.get(name)]
    if len(same) < len(names) and all(a[name].constant for name in same):
        same = []
    chosen = set(same)
    return Sameness(tuple(same), tuple(name for name in names if name not in chosen))


class CommonWeights(TypedDict):
    """Two models that hold something in common; either of the last two is there."""

    models: list[int]
    same: int
    tensors: int
    differ: NotRequired[list[str]]
    equal: NotRequired[list[str]]


def common_weights(models: Sequence[Model]) -> list[CommonWeights]:
    """The pairs of models that hold something in common, as plain values: which two, how many
    tensors, and names.

    Each has ``models`` (two numbers, from 0), ``same`` and ``tensors`` (counts), and the names that
    are fewer, abbreviated: ``differ`` of those that are not equal, or ``equal`` of those that are.
    """
    found: list[CommonWeights] = []
    looks, wholes = _read_looks(models)
    for i, j in combinations(range(len(models)), 2):
        each = _compare((looks[i], looks[j]), (wholes[i], wholes[j]))
        if each.same:
            total = len(each.same) + len(each.differ)
            row: CommonWeights = {"models": [i, j], "same": len(each.same), "tensors": total}
            names = [*each.same, *each.differ]
            if len(each.differ) <= len(each.same):
                row["differ"] = abbreviated(each.differ, names)
            else:
                row["equal"] = abbreviated(each.same, names)
            found.append(row)
    return found


def abbreviated(names: Collection[str], among: Collection[str]) -> list[str]:
    """Names with a whole layer written as one: "h.1.*" stands for all of `among` that begin so."""
    wanted, found = set(names), dict[str, None]()
    inside: dict[str, list[str]] = {}
    for name in among:
        parts = name.split(".")
        for k in range(1, len(parts)):
            inside.setdefault(".".join(parts[:k]), []).append(name)
    whole = {
        prefix for prefix, all_of in inside.items() if len(all_of) > 1 and wanted.issuperset(all_of)
    }
    for name in names:
        parts = name.split(".")
        prefixes = [".".join(parts[:k]) for k in range(1, len(parts))]
        found[next((f"{prefix}.*" for prefix in prefixes if prefix in whole), name)] = None
    return list(found)


def _look_at(tensor: Tensor) -> _Look:
    flat = tensor.flatten()
    constant = flat.numel() == 0 or all(
        bool((part == flat[0]).all()) for part in (flat[:FIRST], flat)
    )
    return _Look(_digest(tensor, FIRST), constant)


def _digest(tensor: Tensor, most: int | None = None) -> bytes:
    """A digest of a shape and of values, or the first of them, which does not depend on their
    type.
    """
    found = sha256(repr(tuple(tensor.shape)).encode())
    for part in tensor.flatten()[:most].split(PIECE):
        single = part.float()
        exact = part.dtype != torch.float64 or torch.equal(single.double(), part)
        # 0 and -0 are one value
        found.update(((single if exact else part) + 0.0).cpu().numpy().data)
    return found.digest()
