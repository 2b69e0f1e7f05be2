"""`hf-dataset:NAME[:SPLIT]`: a data set of the Hugging Face hub or a folder that the package
`datasets` reads.

NAME is `ORG/NAME`, `ORG/NAME/CONFIGURATION`, a name of the hub without an owner, or a local folder.
Without SPLIT the data set's own splits are used; with it, that split as a whole. Text models read
its column of text, image models its images and labels. Only data is fetched, into the package's own
cache; from version 4 on `datasets` runs no code of a data set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmc_core.errors import BadInput, LmcError, UnknownName
from lmc_core.models.files.hub import no_connection
from lmc_core.models.model import Model
from lmc_core.tasks.encoders import common_encoder
from lmc_core.tasks.form import TaskForm
from lmc_core.tasks.labels import class_numbers
from lmc_core.tasks.model_preparation import common_preparation
from lmc_core.tasks.own_images import LazyImages
from lmc_core.tasks.own_text import LIMIT, task_of_text
from lmc_core.tasks.preparation import Preparation
from lmc_core.tasks.task import Examples, Task

PREFIX = "hf-dataset:"
SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test",),
}
TEXT_COLUMNS = ("text", "content", "sentence", "document")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")


@dataclass(frozen=True)
class Name:
    """A data set, by name.

    Attributes:
        path: on the hub, or a local folder.
        configuration: of those it has; None for the only one.
        split: that is meant as a whole; None for the data set's own splits.
        local: whether it is a folder.
    """

    path: str
    configuration: str | None
    split: str | None
    local: bool

    def __str__(self) -> str:
        """The reference, with the whole path of a folder."""
        configuration = f"/{self.configuration}" if self.configuration else ""
        return f"{PREFIX}{self.path}{configuration}{f':{self.split}' if self.split else ''}"


def parse(reference: str) -> Name:
    """Read a reference.

    Raises:
        BadInput: if it names nothing.
    """
    name, _, split = reference.removeprefix(PREFIX).partition(":")
    if not name.strip("/"):
        raise BadInput(
            "hf-dataset:NAME[:SPLIT] is expected, such as hf-dataset:stanfordnlp/imdb:test; "
            f"{reference!r} came."
        )
    if (folder := Path(name).expanduser()).is_dir():
        return Name(str(folder.absolute()), None, split or None, True)
    parts = name.split("/")
    if len(parts) > 3 or not all(parts):
        raise BadInput(
            f"There is no folder {name!r}, and names of data sets on the hub are ORG/NAME or "
            "ORG/NAME/CONFIGURATION."
        )
    return Name("/".join(parts[:2]), parts[2] if len(parts) == 3 else None, split or None, False)


def dataset_task(reference: str, models: Sequence[Model]) -> Task:
    """Return the task of a data set, text or images as the models take them.

    Args:
        reference: ``hf-dataset:NAME[:SPLIT]``.
        models: that will see the same data.

    Raises:
        BadInput: if the data set cannot be read here, or lacks the columns that are needed.
    """
    name = parse(reference)
    with _reading(name):
        from datasets import get_dataset_split_names

        there = [str(split) for split in get_dataset_split_names(name.path, name.configuration)]
    if name.split is not None:
        if name.split.split("[")[0] not in there:
            raise UnknownName.of("split", name.split, there)
        splits = {name.split: name.split}
    else:
        splits = {ours: its for ours, names in SPLIT_NAMES.items() for its in names if its in there}
        if not splits:
            raise BadInput(
                f"{name} has no split called train, validation or test; name one of: "
                f"{', '.join(there)}."
            )

    @cache
    def table(split: str) -> Any:
        with _reading(name):
            from datasets import load_dataset

            return load_dataset(name.path, name.configuration, split=splits[split])

    first = table(next(reversed(splits)))
    if models[0].family.takes == "text":
        return _text(name, models, splits, table, first)
    return _images(name, models, splits, table, first)


def _text(
    name: Name, models: Sequence[Model], splits: dict[str, str], table: Any, first: Any
) -> Task:
    from datasets import Value

    columns = [
        column
        for column, kind in first.features.items()
        if isinstance(kind, Value) and "string" in kind.dtype
    ]
    column = next(
        (column for column in TEXT_COLUMNS if column in columns),
        columns[0] if len(columns) == 1 else None,
    )
    if column is None:
        raise BadInput(
            f"{name} should have a column of text called {', '.join(TEXT_COLUMNS[:-1])} or "
            f"{TEXT_COLUMNS[-1]}; "
            f"it has {', '.join(first.column_names)}."
        )

    @cache
    def text(split: str) -> str:
        parts, size = [], 0
        for row in table(split).select_columns([column]):
            parts.append(row[column] or "")
            size += len(parts[-1]) + 2
            if size > LIMIT:  # the first 64 million characters are more than any curve needs
                break
        return "\n\n".join(parts)

    encoder = common_encoder(models, text(next(reversed(splits))))
    sentence = f"{name.path}, its column {column!r}, rows joined by empty lines"
    return task_of_text(models, encoder, text, _shown(name), sentence, str(name), tuple(splits))


def _images(
    name: Name, models: Sequence[Model], splits: dict[str, str], table: Any, first: Any
) -> Task:
    from datasets import ClassLabel, Image

    image = next(
        (column for column, kind in first.features.items() if isinstance(kind, Image)), None
    )
    labelled = [column for column, kind in first.features.items() if isinstance(kind, ClassLabel)]
    label = next(
        (column for column in LABEL_COLUMNS if column in first.features),
        labelled[0] if labelled else None,
    )
    if image is None or label is None:
        raise BadInput(
            f"{name} should have a column of images and one of labels; it has "
            f"{', '.join(first.column_names)}."
        )
    kind = first.features[label]
    numbers: Sequence[int] | None = None
    how = "class numbers as they are"
    if isinstance(kind, ClassLabel):
        found, how = class_numbers(kind.names, models[0], "label")
        # what has no names of its own keeps the data set's order
        numbers = [found[label] for label in kind.names] if "alphabetical" not in how else None
        how = how if numbers else "classes in the order of the data set"
    classes = models[0].family.sizes(models[0].config)["classes"]
    prepare, notes = common_preparation(models)

    @cache
    def read(split: str, length: int) -> Rows:
        rows = table(split)
        labels = [int(value) for value in rows[label]]
        labels = [numbers[value] for value in labels] if numbers else labels
        if labels and not 0 <= min(labels) <= max(labels) < classes:
            raise BadInput(
                f"{name} has labels from {min(labels)} to {max(labels)}; {models[0].name} has the "
                f"classes 0 to {classes - 1}."
            )
        return Rows(rows, image, tuple(labels), prepare, _shown(name))

    sentence = f"{name.path}, its columns {image!r} and {label!r}; {how}"
    about = _shown(name), sentence, "images", "nats", classes, "your own data", read
    return Task(*about, splits=tuple(splits), reference=str(name), notes=notes)


@dataclass(frozen=True)
class Rows:
    """The images of one split.

    Attributes:
        table: of the package `datasets`.
        column: that holds the images.
        labels: class numbers of the rows.
        prepare: what is done to each image.
        name: for messages.
    """

    table: Any
    column: str
    labels: tuple[int, ...]
    prepare: Preparation
    name: str

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor, seed: int) -> Examples:
        """Return the images at `indices`, to be decoded when they are asked for."""
        chosen = indices.tolist()
        return LazyImages(self._image, chosen, torch.tensor([self.labels[i] for i in chosen]))

    def digest(self, indices: Tensor) -> str:
        """SHA-256 of the pixels, the classes, and how the images are prepared."""
        digest = hashlib.sha256(repr(self.prepare).encode())
        for i in indices.tolist():
            image = self._raw(i)
            digest.update(f"{self.labels[i]} {image.mode} {image.size} ".encode() + image.tobytes())
        return digest.hexdigest()

    def _raw(self, index: int) -> Any:
        try:
            image = self.table[index][self.column]
            image.load()
            return image
        except Exception as error:  # Pillow's and the package's own
            reason = " ".join(str(error).split())[:100]
            raise BadInput(
                f"Row {index + 1:,} of {self.name} is not readable as an image ({reason})."
            ) from error

    def _image(self, index: int) -> Tensor:
        return self.prepare(self._raw(index), f"row {index + 1:,} of {self.name}")


def _shown(name: Name) -> str:
    split = f":{name.split}" if name.split else ""
    return f"{PREFIX}{Path(name.path).name}{split}" if name.local else str(name)


@contextmanager
def _reading(name: Name) -> Iterator[None]:
    """Let `datasets` read, from its cache alone where there is no connection; whatever it raises
    becomes one sentence.
    """
    try:
        import datasets
        from datasets import config
    except ImportError:
        raise BadInput(
            f"{PREFIX} needs the package datasets; install it with `pip install "
            "'lmc-explorer[hub]'`."
        ) from None
    reason = None if name.local else no_connection()
    offline, quiet = config.HF_HUB_OFFLINE, datasets.are_progress_bars_disabled()
    # without it five attempts take half a minute
    config.HF_HUB_OFFLINE = offline or reason is not None
    datasets.disable_progress_bars()
    try:
        yield
    except LmcError:
        raise
    except Exception as error:  # the package raises many kinds
        if reason is not None:
            raise BadInput(
                f"{name} is not in the local cache of data sets, and {reason}; load it once where "
                "there is a connection and "
                "copy that cache here, or give its text as text:FILE or its images as "
                "images:FOLDER."
            ) from error
        words = " ".join(str(error).split())[:160]
        raise BadInput(f"{name} cannot be read ({type(error).__name__}: {words}).") from error
    finally:
        config.HF_HUB_OFFLINE = offline
        if not quiet:
            datasets.enable_progress_bars()


FORM = TaskForm(
    "hf-dataset", "NAME[:SPLIT]", None, lambda rest, models: dataset_task(f"{PREFIX}{rest}", models)
)
