"""`images:FOLDER`: images of one's own, one folder per class, prepared as the model's own files
say.

    FOLDER/dog/1.png          a class folder; its images are split 80/10/10 in an order that only
                              their names decide
    FOLDER/train/dog/1.png    or the splits are folders: train, validation (or val, valid), test;
                              any of them

Files are read when their batch is asked for, never all at once.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.tasks.characters import PARTS
from lmc_core.tasks.form import TaskForm
from lmc_core.tasks.labels import class_numbers
from lmc_core.tasks.model_preparation import common_preparation
from lmc_core.tasks.preparation import Preparation
from lmc_core.tasks.task import SPLITS, Examples, Task

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
Classes = dict[str, list[Path]]


class LazyImages(Examples):
    """Images that are read in the batches that are asked for.

    Args:
        read: index -> image `[channels, height, width]`.
        indices: of the images, in order.
        targets: their class numbers.
    """

    _read: Callable[[int], Tensor]
    _indices: tuple[int, ...]

    def __init__(self, read: Callable[[int], Tensor], indices: Sequence[int], targets: Tensor):
        object.__setattr__(self, "_read", read)
        object.__setattr__(self, "_indices", tuple(indices))
        object.__setattr__(self, "targets", targets)

    @property
    def inputs(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of them, read now."""
        return self.rows(0, len(self)).inputs

    def rows(self, start: int, stop: int) -> Examples:
        """The images from `start` up to `stop`, read now."""
        images = [self._read(i) for i in self._indices[start:stop]]
        return Examples(torch.stack(images), self.targets[start:stop])

    def take(self, indices: Tensor) -> Examples:
        """The images at `indices` `[n]`, in that order, to be read when they are asked for."""
        chosen = [self._indices[i] for i in indices.tolist()]
        return LazyImages(self._read, chosen, self.targets[indices])


@dataclass(frozen=True)
class Files:
    """The images of one split.

    Attributes:
        paths: of the files.
        labels: their class numbers.
        prepare: what is done to each.
    """

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    prepare: Preparation

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Tensor, seed: int) -> Examples:
        """Return the images at `indices`, to be read when they are asked for."""
        chosen = indices.tolist()
        return LazyImages(self._image, chosen, torch.tensor([self.labels[i] for i in chosen]))

    def digest(self, indices: Tensor) -> str:
        """SHA-256 of the bytes of the files, their classes, and how they are prepared."""
        digest = hashlib.sha256(repr(self.prepare).encode())
        for i in indices.tolist():
            try:
                content = self.paths[i].read_bytes()
            except OSError as error:
                raise _unreadable(self.paths[i], error) from error
            digest.update(f"{self.labels[i]} {len(content)} ".encode() + content)
        return digest.hexdigest()

    def _image(self, index: int) -> Tensor:
        path = self.paths[index]
        return self.prepare(open_image(path), f"{path.parent.name}/{path.name}")


def open_image(path: Path) -> Image:
    """Read an image file, whole.

    Raises:
        BadInput: naming the file, if it is damaged, no image, or absurdly large.
    """
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # of odd metadata
            with Pillow.open(path) as image:
                image.load()
                return image
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        Pillow.DecompressionBombError,
        Pillow.DecompressionBombWarning,
    ) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadInput:
    reason = " ".join(str(error).replace(str(path), path.name).split())[:100]
    return BadInput(
        f"{path.parent.name}/{path.name} is not readable as an image ({reason}); replace or "
        "remove it."
    )


def images_task(folder: Path, models: Sequence[Model]) -> Task:
    """Return the task of a folder for models that see the same pixels.

    Args:
        folder: with one folder per class, or with folders of splits.
        models: that will see the images.

    Raises:
        BadInput: if the folder does not fit the models.
    """
    folder = folder.absolute()
    found = find_images(folder)
    names = sorted({name for classes in found.values() for name in classes})
    numbers, how = class_numbers(names, models[0])
    prepare, notes = common_preparation(models)

    @cache
    def read(split: str, length: int) -> Files:
        pairs = [
            (path, numbers[name]) for name, paths in sorted(found[split].items()) for path in paths
        ]
        return Files(
            tuple(path for path, _ in pairs), tuple(number for _, number in pairs), prepare
        )

    total = sum(len(paths) for classes in found.values() for paths in classes.values())
    return Task(
        name=f"images:{folder.name}",
        sentence=f"{folder.name}, {total:,} images of {len(names)} classes; {how}",
        kind="images",
        unit="nats",
        classes=models[0].family.sizes(models[0].config)["classes"],
        licence="your own data",
        read=read,
        splits=tuple(found),
        reference=f"images:{folder}",
        notes=notes,
    )


def find_images(folder: Path) -> dict[str, Classes]:
    """Split -> class -> files, in order of their names.

    Raises:
        BadInput: if there is no folder, or no class folder with images in it.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.is_file() else "does not exist"
        raise BadInput(
            f"images:FOLDER expects a folder with one folder of images per class; {str(folder)!r} "
            f"{kind}."
        )
    try:
        inside = _folders(folder)
        named: dict[str, Path] = {}
        if inside and all(path.name.lower() in SPLIT_FOLDERS for path in inside):
            for path in inside:
                split = SPLIT_FOLDERS[path.name.lower()]
                if split in named:
                    raise BadInput(
                        f"{folder.name} has two folders of the {split} split; keep one of them."
                    )
                named[split] = path
            found = {split: _classes(named[split]) for split in SPLITS if split in named}
            found = {split: classes for split, classes in found.items() if classes}
        else:
            classes = _classes(folder)
            found = {split: _part(classes, split) for split in SPLITS} if classes else {}
    except OSError as error:
        raise BadInput(f"{folder.name} cannot be read ({error.strerror}).") from error
    if not found:
        loose = any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
        raise BadInput(
            f"{folder.name} holds "
            f"{'images but no class folders' if loose else 'no class folders with images'}; "
            f"one folder per class is expected, with files such as {folder.name}/CLASS/1.png."
        )
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _classes(folder: Path) -> Classes:
    found = {
        inner.name: sorted(
            p
            for p in inner.iterdir()
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
        )
        for inner in _folders(folder)
    }
    return {name: paths for name, paths in found.items() if paths}


def _part(classes: Classes, split: str) -> Classes:
    """The share of every class that belongs to a split, in an order that the names' hashes
    decide.
    """
    part: Classes = {}
    for name, paths in classes.items():
        mixed = sorted(
            paths,
            key=lambda path: hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).digest(),
        )
        first, last = (int(share * len(mixed)) for share in PARTS[split])
        part[name] = sorted(mixed[first:last])
    return part


FORM = TaskForm(
    "images", "FOLDER", "images", lambda rest, models: images_task(Path(rest).expanduser(), models)
)
