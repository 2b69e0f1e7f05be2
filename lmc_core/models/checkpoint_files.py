"""The files of a checkpoint folder: `config.json`, and the weights in one file or in shards with an index.

    config.json                     what the model is
    model.safetensors               its weights, or
    model.safetensors.index.json    parameter -> file, beside model-00001-of-00002.safetensors and the others
    pytorch_model.bin, *.pt, *.pth  the same as pickles, read only where that is allowed

Everything in a folder may be damaged or hostile: sizes are bounded before anything is read, only ordinary files are opened
(a pipe would wait forever), and an index may name files of its own folder alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models import pickle_file, safetensors_file

CONFIG_BYTES, INDEX_BYTES = 2**24, 2**27  # the largest that are read; real ones have a few kB and a few MB
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE_SINGLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
PICKLES = (".bin", ".pt", ".pth")
# what training scripts leave beside the weights
NO_WEIGHTS = ("training_args.", "optimizer.", "scheduler.", "rng_state", "scaler.", "trainer_state.", "sentencepiece.")
FOREIGN = {
    "adapter_config.json": "an adapter; merge it into its base model and save that",
    "tf_model.h5": "TensorFlow weights; save the model with safetensors",
    "flax_model.msgpack": "Flax weights; save the model with safetensors",
}


@dataclass(frozen=True)
class Weights:
    """The files that hold a checkpoint's parameters.

    Attributes:
        files: of the weights, in order.
        index: the index's file, if there are shards.
        placed: parameter -> name of its file, as the index says; empty without one.
        beside: an index with shards of its own that lies beside a single file and is passed over; see `passed_over`.
    """

    files: tuple[Path, ...]
    index: Path | None = None
    placed: Mapping[str, str] = field(default_factory=dict)
    beside: Path | None = None

    @property
    def pickled(self) -> bool:
        """Whether they are pickles."""
        return self.files[0].suffix in PICKLES

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(path.stat().st_size for path in self.files)

    def read(self) -> dict[str, Tensor]:
        """Read all parameters, as stored.

        Raises:
            BadCheckpoint: if a file is damaged, or does not hold what the index says.
        """
        tensors: dict[str, Tensor] = {}
        for path in self.files:
            part = pickle_file.read(path) if self.pickled else safetensors_file.read(path)
            self._agree(path, part)
            tensors |= part
        return tensors

    def names(self) -> list[str]:
        """Names of the parameters, from the headers alone where there are headers."""
        if self.placed:
            return list(self.placed)
        return list((pickle_file.read if self.pickled else safetensors_file.header)(self.files[0]))

    def _agree(self, path: Path, part: Mapping[str, Any]) -> None:
        if self.index is None:
            return
        for name in part:
            if self.placed.get(name) != path.name:
                other = self.placed.get(name)
                says = f"puts it into {other}" if other else "does not name it"
                raise BadCheckpoint(f"{path.name} holds {name!r}, but {self.index.name} {says}; fetch the checkpoint again.")
        for name, file in self.placed.items():
            if file == path.name and name not in part:
                raise BadCheckpoint(f"{self.index.name} puts {name!r} into {file}, which lacks it; fetch the checkpoint again.")


def find_weights(folder: Path, allow_pickle: bool = False) -> Weights:
    """Find the files of the weights: safetensors first, pickles where they are allowed and nothing else is there.

    Raises:
        BadCheckpoint: if there are none, a shard is missing, or the index is damaged.
    """
    for single, index in ((SINGLE, INDEX), (PICKLE_SINGLE, PICKLE_INDEX)):
        if single == PICKLE_SINGLE and not allow_pickle:
            break
        if (folder / single).is_file():
            beside = folder / index
            return Weights((folder / single,), beside=beside if beside.is_file() else None)
        if (folder / index).is_file():
            return sharded(folder / index)
    found = _pickles(folder)
    if allow_pickle and len(found) == 1:
        return Weights((found[0],))
    raise BadCheckpoint(_missing(folder, found, allow_pickle))


def read_json(path: Path, limit: int = CONFIG_BYTES) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BadCheckpoint: if the file is missing, too large, or no JSON object in UTF-8.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        if not path.is_file():
            raise BadCheckpoint(f"The file {path.name} is missing from {path.parent.name}.{_hint(path.parent)}")
        size = path.stat().st_size
        if size > limit:
            raise BadCheckpoint(f"{where} has {size:,} bytes; at most {limit:,} are expected of such a file.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{where} is not readable JSON ({type(error).__name__}); fetch it again.") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{where} should hold a JSON object; it holds a {type(content).__name__}.")
    return content


def sharded(index: Path) -> Weights:
    """The files that an index names.

    Raises:
        BadCheckpoint: if one is missing, or the index is damaged.
    """
    placed = read_json(index, INDEX_BYTES).get("weight_map")
    where = f"{index.parent.name}/{index.name}"
    if not isinstance(placed, dict) or not placed:
        raise BadCheckpoint(f"{where} should say under 'weight_map' which file holds each parameter; fetch it again.")
    suffix = PICKLES if index.name == PICKLE_INDEX else (".safetensors",)
    for name, file in placed.items():
        if not isinstance(file, str) or not file.endswith(suffix) or "/" in file or "\\" in file or not file.isprintable():
            raise BadCheckpoint(
                f"{where} should put {name[:60]!r} into a {suffix[0]} file of the same folder; it says {str(file)[:60]!r}."
            )
    shards = sorted(set(placed.values()))
    for shard in shards:
        if not (index.parent / shard).is_file():
            raise BadCheckpoint(f"The file {shard[:100]} is missing from {index.parent.name}; {index.name} names it.")
    return Weights(tuple(index.parent / shard for shard in shards), index, placed)


def _pickles(folder: Path) -> list[Path]:
    files = (path for path in sorted(folder.iterdir()) if path.suffix in PICKLES and path.is_file())
    return [path for path in files if not path.name.startswith(NO_WEIGHTS)]


def _missing(folder: Path, pickles: list[Path], allow_pickle: bool) -> str:
    sentence = f"The file {SINGLE} is missing from {folder.name}"
    if pickles and not allow_pickle:
        return (
            f"{sentence}; it holds {pickles[0].name}, which is read only with --allow-pickle (load(..., allow_pickle=True)): "
            "allow it if you trust its source, or save it with safetensors."
        )
    if pickles:
        return f"{sentence}, and of {', '.join(p.name for p in pickles[:5])} only one can be the weights; remove the others."
    return f"{sentence}.{_hint(folder)}"


def _hint(folder: Path) -> str:
    for name, what in FOREIGN.items():
        if (folder / name).is_file():
            return f" The folder holds {name}: {what}."
    return ""
