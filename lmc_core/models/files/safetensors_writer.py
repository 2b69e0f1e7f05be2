"""One `.safetensors` file written tensor by tensor, each straight to its place, in any order.

The header, which gives every place, follows from names, types and shapes alone. Tensors stand in
the order in which the format's own library puts them: by type, then by name.
"""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.models.files.safetensors import DTYPES
from lmc_core.numbers import size

# the library's names, in the library's order
ORDER = ("BOOL", "U8", "I8", "I16", "F16", "BF16", "I32", "F32", "F64", "I64")
CODES: dict[torch.dtype, str] = {dtype: code for code, dtype in DTYPES.items()}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Writer:
    """A file whose tensors are still to come.

    Args:
        path: of the file, which is replaced.
        shapes: name -> a tensor of the shape and type that will come; values are not looked at.
    """

    def __init__(self, path: Path, shapes: Mapping[str, Tensor]) -> None:
        names = sorted(shapes, key=lambda name: (-ORDER.index(CODES[shapes[name].dtype]), name))
        content: dict[str, object] = {"__metadata__": {"format": "pt"}}
        self._places: dict[str, tuple[int, int]] = {}
        end = 0
        for name in names:
            tensor = shapes[name]
            start, end = end, end + tensor.numel() * tensor.element_size()
            self._places[name] = (start, end)
            content[name] = {
                "dtype": CODES[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [start, end],
            }
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        self._begin = 8 + len(text)
        self._shapes = {name: (tensor.dtype, tensor.shape) for name, tensor in shapes.items()}
        self._file = path.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)

    def put(self, name: str, tensor: Tensor) -> None:
        """Write one tensor.

        Args:
            name: of it.
            tensor: of the shape and type that were said, on any device.

        Raises:
            ValueError: if it is another tensor than was said, or came before.
        """
        if (tensor.dtype, tensor.shape) != self._shapes.get(name):
            raise ValueError(f"{name!r} came as {tensor.dtype} of shape {list(tensor.shape)}.")
        start, _ = self._places.pop(name)
        if math.prod(tensor.shape):
            self._file.seek(self._begin + start)
            flat = tensor.detach().cpu().contiguous().flatten()
            self._file.write(flat.view(torch.uint8).numpy().data)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None and self._places:
            raise ValueError(f"{next(iter(self._places))!r} did not come.")


def require_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: that is written into.
        needed: bytes.

    Raises:
        BadInput: with both numbers.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise BadInput(
            f"The weights take {size(needed)}, and {size(free)} are free where they are written; "
            "make room, or choose a folder on another disk."
        )


def describe_failure(error: OSError, needed: int) -> BadInput:
    """The error in words for a file that could not be written."""
    if error.errno in FULL:
        return BadInput(
            f"There was no room left for the weights, which take {size(needed)}, and nothing was "
            "kept; make room, or choose a folder on another disk."
        )
    return BadInput(
        f"The weights could not be written ({error.strerror or error}), and nothing was kept; "
        "check the folder and its disk."
    )
