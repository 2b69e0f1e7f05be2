"""The types in which parameters are written: those of the files they came from, or one that a
person names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lmc_core.errors import BadInput, UnknownName
from lmc_core.lazy_torch import torch
from lmc_core.models.lazy import PIECE, shapes

if TYPE_CHECKING:
    from torch import Tensor

TYPES = ("float32", "bfloat16", "float16")  # as torch spells them


def type_named(name: str) -> torch.dtype:
    """The type of that name.

    Raises:
        UnknownName: for one in which no weights are written.
    """
    if name not in TYPES:
        raise UnknownName.of("type of weights", name, TYPES)
    return getattr(torch, name)


def wide_type(tensor: Tensor) -> torch.dtype:
    """The type that a tensor is computed in: its own, or float32 where that is half precision,
    which is too coarse.
    """
    return torch.float32 if tensor.element_size() < 4 else tensor.dtype


def types_to_write(
    state: Mapping[str, Tensor],
    stored: Mapping[str, torch.dtype],
    dtype: torch.dtype | str | None = None,
) -> dict[str, torch.dtype]:
    """The type that each parameter is written in.

    Args:
        state: the parameters.
        stored: the types in which those of the first parent were stored; a parameter that it lacks,
            such as a head that was shared there, gets the most frequent one. Empty for a model made
            in memory, whose own types are kept.
        dtype: for all of them, in place of these.

    Raises:
        UnknownName: for a type in which no weights are written.
    """
    if dtype is not None:
        chosen = type_named(str(dtype).removeprefix("torch."))
        return dict.fromkeys(state, chosen)
    if not stored:
        return {
            name: tensor.dtype if type_words([tensor.dtype]) in TYPES else torch.float32
            for name, tensor in shapes(state).items()
        }
    found = list(stored.values())
    usual = max(dict.fromkeys(found), key=found.count)
    return {name: stored.get(name, usual) for name in state}


def rounded(state: Mapping[str, Tensor], types: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
    """Parameters in the types that they are written in.

    Raises:
        BadInput: naming the first parameter with a value that its type cannot hold.
    """
    return {name: round_to(tensor, types[name], name) for name, tensor in state.items()}


def round_to(tensor: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """One parameter in the type that it is written in; see `rounded`."""
    found = tensor.to(dtype)
    if dtype is torch.float16 and tensor.dtype is not dtype:
        pairs = zip(tensor.flatten().split(PIECE), found.flatten().split(PIECE), strict=True)
        if any(bool((torch.isfinite(one) & ~torch.isfinite(two)).any()) for one, two in pairs):
            raise BadInput(
                f"{name!r} has values up to {float(tensor.abs().max()):.3g}, and float16 holds "
                "none above 65,504; choose "
                "bfloat16 or float32 (--dtype)."
            )
    return found


def type_words(types: Iterable[torch.dtype]) -> str:
    """The types of some parameters, in words, the most frequent first: "bfloat16 and float32"."""
    found = [str(each).removeprefix("torch.") for each in types]
    return " and ".join(sorted(set(found), key=lambda name: (-found.count(name), name)))
