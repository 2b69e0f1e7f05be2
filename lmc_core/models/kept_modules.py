"""Modules kept between calls: building one takes longer than running a small model."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.models.family import Family
from lmc_core.models.model import Model
from lmc_core.symmetry.arithmetic import brought

KEPT = 4  # modules of every thread; they hold no parameters


# a table of a module's parameters, or of its buffers, and a name in it
_Place = tuple[MutableMapping[str, Tensor | None], str]


@dataclass(frozen=True)
class _Kept:
    """A module of a family, which is named here so that its identity is not given to another, and
    where each parameter of a model belongs.
    """

    family: Family
    module: nn.Module
    places: dict[str, list[_Place]]

    def put(self, state: dict[str, Tensor] | None) -> None:
        """Place parameters in the module; None takes all of them away."""
        for name, places in self.places.items():
            for holder, leaf in places:
                holder[leaf] = None if state is None else state[name]


class _OfThisThread(threading.local):
    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()


_modules = _OfThisThread()


@contextmanager
def lent_module(
    model: Model, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Iterator[nn.Module]:
    """A module of the ordinary class with the parameters of a model, in evaluation mode, until the
    block ends.

    The same as `Model.module`, but a module of the same family and configuration that this thread
    was lent before is used again.

    Args:
        model: whose parameters it has meanwhile.
        dtype: of parameters and buffers.
        device: of both.
    """
    config = json.dumps(dict(model.config), sort_keys=True)
    key = id(model.family), config, dtype, torch.device(device)
    kept = _modules.kept.pop(key, None)
    if kept is None or kept.places.keys() != model.state.keys():
        module = model.module(dtype)
        kept = _Kept(model.family, module, _find_places(module, model))
        kept.put(None)  # what is tied is one tensor on the device too
        module.to(device)
    kept.put(
        {
            name: nn.Parameter(brought(tensor, device, dtype), requires_grad=False)
            for name, tensor in model.state.items()
        }
    )
    try:
        yield kept.module
    finally:
        kept.put(None)
        _modules.kept[key] = kept
        while len(_modules.kept) > KEPT:
            _modules.kept.popitem(last=False)


def _find_places(module: nn.Module, model: Model) -> dict[str, list[_Place]]:
    """By name of a parameter of the model, all places in the module that hold it."""
    holders: dict[int, list[_Place]] = {}
    for each in module.modules():
        tables: tuple[Any, Any] = each._parameters, each._buffers
        for tensors in tables:
            for leaf, tensor in tensors.items():
                if tensor is not None:
                    holders.setdefault(id(tensor), []).append((tensors, leaf))
    held = module.state_dict(keep_vars=True)
    return {name: holders[id(held[name])] for name in model.state}
