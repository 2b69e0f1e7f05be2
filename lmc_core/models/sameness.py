"""What two models have in common, parameter by parameter: nothing, some of it, or everything."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

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


def sameness(a: Model, b: Model) -> Sameness:
    """Compare the parameters of two models.

    A tensor of one value alone, such as gains that are all 1, tells nothing and counts as equal
    only beside another that is.
    """
    names = [*a.state, *(name for name in b.state if name not in a.state)]
    same = [
        name
        for name in names
        if name in a.state and name in b.state and _equal(a.state[name], b.state[name])
    ]
    if len(same) < len(names) and all(_constant(a.state[name]) for name in same):
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
    for i, j in combinations(range(len(models)), 2):
        each = sameness(models[i], models[j])
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


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    left, right = a.flatten(), b.flatten()
    for one, other in ((left[:FIRST], right[:FIRST]), (left, right)):
        if one.dtype != other.dtype:
            one, other = one.float(), other.float()
        if not torch.equal(one, other):
            return False
    return True


def _constant(tensor: Tensor) -> bool:
    flat = tensor.flatten()
    return flat.numel() == 0 or bool((flat == flat[0]).all())
