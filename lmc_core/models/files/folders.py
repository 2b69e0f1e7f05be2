"""The files of a checkpoint folder: `config.json`, and the weights in one file or in shards with an
index.

    config.json                     what the model is
    model.safetensors               its weights, or
    model.safetensors.index.json    parameter -> file, beside model-00001-of-00002.safetensors
                                    and the others
    pytorch_model.bin, *.pt, *.ckpt the same as pickles (also *.pth and *.pth.tar), read only where
    that is allowed

Everything in a folder may be damaged or hostile: sizes are bounded before anything is read, only
ordinary files are opened (a pipe would wait forever), and an index may name files of its own folder
alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.files import pickle as pickle_file
from lmc_core.models.files import safetensors as safetensors_file
from lmc_core.models.files.json_files import hint, read_json

INDEX_BYTES = 2**27  # the largest that is read; real ones have a few MB
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE_SINGLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
# what training scripts leave beside the weights
NO_WEIGHTS = tuple(
    "training_args. optimizer. scheduler. rng_state scaler. trainer_state. sentencepiece.".split()
)
QUANTISED = torch.float8_e4m3fn  # stands for every type that is no ordinary number
ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Weights:
    """The files that hold a checkpoint's parameters.

    Attributes:
        files: of the weights, in order.
        index: the index's file, if there are shards.
        placed: parameter -> name of its file, as the index says; empty without one.
        beside: an index with shards of its own that lies beside a single file and is passed over;
            see `passed_over`.
    """

    files: tuple[Path, ...]
    index: Path | None = None
    placed: Mapping[str, str] = field(default_factory=dict)
    beside: Path | None = None

    @property
    def pickled(self) -> bool:
        """Whether they are pickles."""
        return pickle_file.is_pickle(self.files[0].name)

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(path.stat().st_size for path in self.files)

    @cached_property
    def content(self) -> pickle_file.Content:
        """What the first file holds, if it is a pickle; read once."""
        return pickle_file.read(self.files[0])

    def read(self) -> dict[str, Tensor]:
        """Read all parameters, as stored.

        Raises:
            BadCheckpoint: if a file is damaged, or does not hold what the index says.
        """
        tensors: dict[str, Tensor] = {}
        for path in self.files:
            part = self._pickle(path).tensors if self.pickled else safetensors_file.read(path)
            self._agree(path, part)
            tensors |= part
        return tensors

    def reader(self) -> safetensors_file.Reader:
        """What reads single parameters, as stored, when they are asked for; of safetensors alone.

        Raises:
            BadCheckpoint: if a file is damaged.
        """
        return safetensors_file.Reader(self.files)

    def names(self) -> list[str]:
        """Names of the parameters, from the headers alone where there are headers."""
        return list(
            self.placed
            or (self.content.tensors if self.pickled else safetensors_file.header(self.files[0]))
        )

    def shapes(self) -> dict[str, Tensor]:
        """The parameters without their values, on the device "meta"; from the headers alone where
        there are headers.

        What is stored in a type that torch has no ordinary numbers for is there as `QUANTISED`.

        Raises:
            BadCheckpoint: if a file is damaged, or does not hold what the index says.
        """
        found: dict[str, Tensor] = {}
        for path in self.files:
            part: Mapping[str, Tensor | safetensors_file.Entry] = (
                self._pickle(path).tensors if self.pickled else safetensors_file.header(path)
            )
            self._agree(path, part)
            for name, entry in part.items():
                dtype = (
                    entry.dtype
                    if isinstance(entry, Tensor)
                    else safetensors_file.DTYPES.get(entry.dtype, QUANTISED)
                )
                dtype = torch.float32 if dtype == torch.float64 else dtype  # as it is read
                found[name] = torch.empty(tuple(entry.shape), dtype=dtype, device="meta")
        return found

    def stored_as(self, name: str) -> str:
        """The type of a parameter in its file, in words of torch where it has one."""
        for path in self.files:
            part: Mapping[str, Tensor | safetensors_file.Entry] = (
                self._pickle(path).tensors if self.pickled else safetensors_file.header(path)
            )
            if name in part:
                dtype = str(part[name].dtype)
                return str(safetensors_file.DTYPES.get(dtype, dtype)).removeprefix("torch.")
        return "an unknown type"

    def _pickle(self, path: Path) -> pickle_file.Content:
        return self.content if path == self.files[0] else pickle_file.read(path)

    def _agree(self, path: Path, part: Collection[str]) -> None:
        if self.index is None:
            return
        for name in part:
            if self.placed.get(name) != path.name:
                other = self.placed.get(name)
                says = f"puts it into {other}" if other else "does not name it"
                raise BadCheckpoint(
                    f"{path.name} holds {name!r}, but {self.index.name} {says}; fetch the "
                    "checkpoint again."
                )
        for name, file in self.placed.items():
            if file == path.name and name not in part:
                raise BadCheckpoint(
                    f"{self.index.name} puts {name!r} into {file}, which lacks it; fetch the "
                    "checkpoint again."
                )


def find_weights(folder: Path, allow_pickle: bool = False) -> Weights:
    """Find the files of the weights: safetensors first, pickles where they are allowed and nothing
    else is there.

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
    found = pickles(folder)
    if allow_pickle and len(found) == 1:
        return Weights((found[0],))
    raise BadCheckpoint(_missing(folder, found, allow_pickle))


def sharded(index: Path) -> Weights:
    """The files that an index names.

    Raises:
        BadCheckpoint: if one is missing, or the index is damaged.
    """
    said = read_json(index, INDEX_BYTES).get("weight_map")
    where = f"{index.parent.name}/{index.name}"
    if not isinstance(said, dict) or not said:
        raise BadCheckpoint(
            f"{where} should say under 'weight_map' which file holds each parameter; fetch it "
            "again."
        )
    suffix = pickle_file.SUFFIXES if index.name == PICKLE_INDEX else (".safetensors",)
    placed: dict[str, str] = {}
    for name, file in said.items():
        if (
            not isinstance(file, str)
            or not file.endswith(suffix)
            or "/" in file
            or "\\" in file
            or not file.isprintable()
        ):
            raise BadCheckpoint(
                f"{where} should put {name[:60]!r} into a {suffix[0]} file of the same folder; it "
                f"says {str(file)[:60]!r}."
            )
        placed[name] = file
    shards = sorted(set(placed.values()))
    for shard in shards:
        if not (index.parent / shard).is_file():
            raise BadCheckpoint(
                f"The file {shard[:100]} is missing from {index.parent.name}; {index.name} names "
                "it."
            )
    return Weights(tuple(index.parent / shard for shard in shards), index, placed)


def pickles(folder: Path) -> list[Path]:
    """The files of a folder that can be pickled weights, in alphabetical order."""
    files = (
        path
        for path in sorted(folder.iterdir())
        if pickle_file.is_pickle(path.name) and path.is_file()
    )
    return [path for path in files if not path.name.startswith(NO_WEIGHTS)]


def _missing(folder: Path, found: list[Path], allow_pickle: bool) -> str:
    sentence = f"The file {SINGLE} is missing from {folder.name}"
    if found and not allow_pickle:
        return (
            f"{sentence}; it holds {found[0].name}, which is read only with --allow-pickle "
            "(load(..., allow_pickle=True)): "
            "allow it if you trust its source, or save it with safetensors."
        )
    if found:
        return (
            f"{sentence}, and of {', '.join(p.name for p in found[:5])} only one can be the "
            "weights; remove the others."
        )
    others = [
        path.name for path in sorted(folder.glob("*.safetensors")) if path.name != ADAPTER_WEIGHTS
    ]
    if len(others) == 1:
        return f"{sentence}; if {others[0][:100]} holds the weights, rename it to that."
    return f"{sentence}.{hint(folder)}"
