"""One pickled file of weights, read by torch's restricted unpickler, which builds tensors and plain
containers alone.

Training scripts put their settings beside the weights (an `argparse.Namespace`, for example). Such
objects are never built and their modules never imported: their place takes an `Inert` one of ours,
which keeps nothing and does nothing. Files are read only where a person allows it: even so
restricted, a pickle is a program.
"""

from __future__ import annotations

import pickle
import re
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from lmc_core.errors import BadCheckpoint
from lmc_core.models.files.lfs import require_no_pointer

SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pth.tar", ".pt.tar")
# keys under which training scripts put the parameters; what was trained before its running mean
WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "module", "net", "network"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema"),
)
DEEPEST = 3  # wrappers around each other
ATTEMPTS = 4  # at a file whose objects turn out to be containers
CONTAINER = re.compile(r"(?:SETITEMS?|append)\b.*got <class '.*\.Inert(\d+)'>")
_LOCK = threading.Lock()  # what torch allows is one set for all threads


@dataclass(frozen=True)
class Content:
    """What a pickled file holds.

    Attributes:
        tensors: by name.
        key: under which they were found, such as "state_dict"; "" where the file holds nothing
            else.
        others: further keys under which there are tensors by name.
        beside: what lies beside them; objects that were not built are `Inert`.
    """

    tensors: dict[str, Tensor]
    key: str = ""
    others: tuple[str, ...] = ()
    beside: Mapping[str, object] = field(default_factory=dict)


class Inert:
    """Takes the place of an object that is not built: it accepts whatever the file does to it and
    keeps nothing.
    """

    said = "object"  # name of what it stands for

    def __new__(cls, *_: object, **__: object) -> Inert:
        """An instance, whatever the arguments."""
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def is_pickle(name: str) -> bool:
    """Whether a file of that name can hold pickled weights."""
    return name.lower().endswith(SUFFIXES)


def read(path: Path) -> Content:
    """Name -> tensor, as stored, and what lies beside; float64 is rounded to float32, in which
    everything is computed.

    Raises:
        BadCheckpoint: if the file is damaged, or holds no tensors by name.
    """
    where = f"{path.parent.name}/{path.name}"
    require_no_pointer(path)
    try:
        with warnings.catch_warnings():  # torch advises programmers about old formats
            warnings.simplefilter("ignore")
            content = _load(path)
    except pickle.UnpicklingError as error:
        raise BadCheckpoint(
            f"{where} holds objects other than tensors, or is no pickle; only tensors by name are "
            "read, so save it again "
            "with safetensors."
        ) from error
    except Exception as error:  # a damaged pickle can raise whatever its bytes happen to ask for
        raise BadCheckpoint(
            f"{where} is truncated or damaged ({type(error).__name__}); fetch it again."
        ) from error
    if isinstance(content, Inert):
        raise BadCheckpoint(
            f"{where} holds a whole object of the class {content.said[:80]}, and objects other "
            "than tensors are not built; "
            "save its state_dict() with safetensors."
        )
    found = _unwrapped(content)
    for name, tensor in found.tensors.items():
        if isinstance(tensor, Inert):
            raise BadCheckpoint(
                f"{where} holds objects other than tensors ({str(name)[:60]!r} is a "
                f"{tensor.said[:60]}), which are not "
                "built; save the state_dict() of the model alone, with safetensors."
            )
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadCheckpoint(
                f"{where} should hold tensors by name; {str(name)[:60]!r} is a "
                f"{type(tensor).__name__}."
            )
    if not found.tensors:
        raise BadCheckpoint(f"{where} should hold tensors by name; it holds none.")
    _require_honest(found.tensors, path)
    plain = {name: _plain(tensor) for name, tensor in found.tensors.items()}
    return Content(plain, found.key, found.others, found.beside)


def _load(path: Path) -> object:
    """The content, with `Inert` ones in place of whatever torch does not build by itself."""
    try:
        foreign = sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:  # no zip file: a pickle of torch before 1.6, or none
        foreign = []
    containers: set[int] = set()
    for _ in range(ATTEMPTS):
        stand_ins = [(_inert(i, name, i in containers), name) for i, name in enumerate(foreign)]
        try:
            with _LOCK, safe_globals(stand_ins):  # type: ignore[arg-type]
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            known = CONTAINER.search(" ".join(str(error).split()))
            if known is None or int(known[1]) in containers:
                raise
            containers.add(int(known[1]))
    raise pickle.UnpicklingError("too many kinds of containers")


def _inert(number: int, name: str, container: bool) -> type[Inert]:
    """A class that stands for another one; where that one is a kind of dictionary, its instances
    are plain ones.
    """
    members: dict[str, object] = {"said": name}
    if container:
        members["__new__"] = lambda cls, *_, **__: {}
    return type(f"Inert{number}", (Inert,), members)


def _unwrapped(content: object) -> Content:
    """The parameters, taken out of whatever a training script put around them."""
    if not isinstance(content, Mapping):
        return Content({})
    tensors, keys, others = content, [], ()
    for _ in range(DEEPEST):
        held = [key for key in WRAPPERS if _holds_tensors(tensors.get(key))]
        if not held:
            break
        others = tuple(held[1:]) if not keys else others
        keys.append(held[0])
        inner = tensors[held[0]]
        tensors = inner if isinstance(inner, Mapping) else {}
    beside = {key: value for key, value in content.items() if key not in WRAPPERS} if keys else {}
    return Content(dict(tensors), ".".join(keys), others, beside)


def _holds_tensors(content: object) -> bool:
    """Whether there are tensors by name in it, or one wrapper further in."""
    if not isinstance(content, Mapping):
        return False
    inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
    return any(
        isinstance(value, Tensor) for mapping in (content, *inner) for value in mapping.values()
    )


def _require_honest(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors larger than what backs them: a few bytes can claim any shape by repeating
    themselves.
    """
    size = path.stat().st_size
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise BadCheckpoint(
                f"The parameter {name!r} is no ordinary tensor; save the model again with "
                "safetensors."
            )
        if tensor.numel() * tensor.element_size() > min(tensor.untyped_storage().nbytes(), size):
            raise BadCheckpoint(
                f"The parameter {name!r} claims more values than {path.parent.name}/{path.name} "
                "holds."
            )


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().contiguous()
    return tensor.float() if tensor.dtype == torch.float64 else tensor
