"""One `.bin`, `.pt` or `.pth` file, read by torch's restricted unpickler, which builds tensors and plain containers alone.

They are read only where a person allows it: even so restricted, a pickle is a program.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmc_core.errors import BadCheckpoint

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts put the parameters


def read(path: Path) -> dict[str, Tensor]:
    """Name -> tensor, as stored; float64 is rounded to float32, in which everything is computed.

    Raises:
        BadCheckpoint: if the file is damaged, or holds anything but tensors by name.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings():  # torch advises programmers about old formats
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadCheckpoint(
            f"{where} holds objects other than tensors, or is no pickle; only tensors by name are read, so save it again "
            "with safetensors."
        ) from error
    except Exception as error:  # a damaged pickle can raise whatever its bytes happen to ask for
        raise BadCheckpoint(f"{where} is truncated or damaged ({type(error).__name__}); fetch it again.") from error
    tensors = _unwrapped(content)
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadCheckpoint(f"{where} should hold tensors by name; {str(name)[:60]!r} is a {type(tensor).__name__}.")
    if not tensors:
        raise BadCheckpoint(f"{where} should hold tensors by name; it holds none.")
    _require_honest(tensors, path)
    return {name: _plain(tensor) for name, tensor in tensors.items()}


def _unwrapped(content: Any) -> dict[Any, Any]:
    if not isinstance(content, Mapping):
        return {}
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return dict(content[key])
    return dict(content)


def _require_honest(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors larger than what backs them: a few bytes can claim any shape by repeating themselves."""
    size = path.stat().st_size
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise BadCheckpoint(f"The parameter {name!r} is no ordinary tensor; save the model again with safetensors.")
        if tensor.numel() * tensor.element_size() > min(tensor.untyped_storage().nbytes(), size):
            raise BadCheckpoint(f"The parameter {name!r} claims more values than {path.parent.name}/{path.name} holds.")


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().contiguous()
    return tensor.float() if tensor.dtype == torch.float64 else tensor
