"""`labels:FILE`: texts of one's own with a label each, for models that sort whole texts into
classes.

    text,label                                           CSV (or TSV) with these two columns
    "What a film.",positive                              among any others, or
    {"text": "What a film.", "label": "positive"}        JSON lines, one object a line

A label is the name of a class or its number. Every class is split 80/10/10 in an order that only
the texts decide. A text is read with what the tokenizer puts around it; one that is longer than the
window is cut, and a note counts these.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.model import Model
from lmc_core.models.texts import joined
from lmc_core.tasks.characters import PARTS
from lmc_core.tasks.encoders import Encoder, common_encoder, find_encoder
from lmc_core.tasks.form import TaskForm
from lmc_core.tasks.labels import class_numbers
from lmc_core.tasks.own_text import LIMIT, read_text
from lmc_core.tasks.prediction import predicts
from lmc_core.tasks.task import SPLITS, Examples, Task

Rows = list[tuple[str, str]]  # text, label


@dataclass(frozen=True)
class Texts:
    """The labelled texts of one split.

    Attributes:
        texts: in order.
        labels: their class numbers.
        encode: text -> its tokens, cut to the window.
        how: what the tokens depend on beside the text.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    encode: Callable[[str], list[int]]
    how: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Tensor, seed: int) -> Examples:
        """Return the texts at `indices`; behind the end of the shorter ones stands `END`."""
        chosen = indices.tolist()
        tokens = joined([self.encode(self.texts[i]) for i in chosen])
        return Examples(tokens, torch.tensor([self.labels[i] for i in chosen]))

    def digest(self, indices: Tensor) -> str:
        """SHA-256 of the texts, their classes, and how they are read."""
        digest = hashlib.sha256(self.how.encode())
        for i in indices.tolist():
            content = self.texts[i].encode("utf-8", "surrogatepass")
            digest.update(f"{self.labels[i]} {len(content)} ".encode() + content)
        return digest.hexdigest()


def labels_task(path: Path, models: Sequence[Model]) -> Task:
    """Return the task of a file of labelled texts for models that sort texts into the same classes.

    Args:
        path: of the file.
        models: that will see the same tokens.

    Raises:
        BadInput: if the file cannot be read, or a model does not sort whole texts.
        Incompatible: if the models have different tokenizers.
    """
    path = path.absolute()
    for model in models:
        if predicts(model) != "label":
            raise BadInput(
                f"labels:FILE is for models that sort whole texts into classes; {model.name} "
                f"predicts {predicts(model)!r}, "
                "for which there is text:FILE."
            )
    rows = read_rows(path)
    numbers, how = class_numbers(sorted({label for _, label in rows}), models[0], "label")
    encoder = common_encoder(models, "\n".join(text for text, _ in rows))
    _require_one_end(models, encoder)
    limit = min((model.family.sizes(model.config)["tokens"], model.name) for model in models)
    name = f"labels:{path.name}"
    tokens = cache(lambda text: _tokens(encoder, text, limit))

    def read(split: str, length: int) -> Texts:
        _require_room(encoder, length)
        part = _part(rows, split)
        return Texts(
            tuple(text for text, _ in part),
            tuple(numbers[label] for _, label in part),
            lambda text: _cut(tokens(text), encoder, length),
            repr((encoder.begins, encoder.ends, length)),
        )

    def said(split: str, length: int) -> tuple[str, ...]:
        texts = [text for text, _ in _part(rows, split)]
        longer = sum(len(tokens(text)) > length for text in texts)
        if not longer:
            return ()
        return (
            f"{longer:,} of the {len(texts):,} texts of the {split} split "
            f"{'is' if longer == 1 else 'are'} longer than "
            f"{length:,} tokens and cut there.",
        )

    return Task(
        name=name,
        sentence=f"{path.name}, {len(rows):,} texts of {len(numbers)} classes; {how}",
        kind="text",
        unit="nats",
        classes=models[0].family.sizes(models[0].config)["classes"],
        licence="your own data",
        read=read,
        splits=tuple(split for split in SPLITS if _part(rows, split)),
        reference=f"labels:{path}",
        labelled=True,
        said=said,
    )


def read_rows(path: Path) -> Rows:
    """Text and label of every row of a file.

    Raises:
        BadInput: naming the first line that is not as it should be.
    """
    content = read_text(path, "labels:FILE")
    found: Rows = []
    entries = _json_lines if content.lstrip()[0] in "{[" else _table
    for number, entry in entries(content, path.name):
        text, label = entry.get("text"), entry.get("label")
        if not isinstance(text, str) or not text.strip():
            raise BadInput(
                f"Line {number:,} of {path.name} has no text; give one, or remove the line."
            )
        if isinstance(label, bool) or not isinstance(label, int | str) or not str(label).strip():
            raise BadInput(
                f"Line {number:,} of {path.name} gives the label {label!r}; a class's name or "
                "number is expected."
            )
        found.append((text, str(label).strip()))
    if not found:
        raise BadInput(f"{path.name} holds no texts below its header.")
    return found


def _json_lines(content: str, name: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry: object = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise BadInput(
                f"Line {number:,} of {name} is no JSON object; one a line is expected, such as "
                '{"text": "...", "label": "..."}.'
            )
        yield number, entry


def _table(content: str, name: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    delimiter = "\t" if "\t" in content.partition("\n")[0] else ","
    usual = csv.field_size_limit(LIMIT)
    try:
        reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
        columns = [str(column).strip() for column in reader.fieldnames or ()]
        if not {"text", "label"} <= set(columns):
            raise BadInput(
                f"{name} should begin with the names of its columns, text and label among them; "
                "it begins with "
                f"{', '.join(columns)[:80]!r}."
            )
        reader.fieldnames = columns
        for entry in reader:
            yield reader.line_num, entry
    except csv.Error as error:
        raise BadInput(
            f"{name} is not readable as CSV ({error}); save it again, or as JSON lines."
        ) from error
    finally:
        csv.field_size_limit(usual)


def _part(rows: Rows, split: str) -> Rows:
    """The share of every class that belongs to a split, in an order that the texts' hashes
    decide.
    """
    classes: dict[str, list[str]] = {}
    for text, label in rows:
        classes.setdefault(label, []).append(text)
    found: Rows = []
    for label in sorted(classes):
        mixed = sorted(
            classes[label],
            key=lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(),
        )
        first, last = (int(share * len(mixed)) for share in PARTS[split])
        found += [(text, label) for text in mixed[first:last]]
    return found


def _tokens(encoder: Encoder, text: str, limit: tuple[int, str]) -> list[int]:
    """All tokens of a text with those around it, which must be among a model's rows."""
    found = [*encoder.begins, *encoder.encode(text).tolist(), *encoder.ends]
    if found and max(found) >= limit[0]:
        raise BadInput(
            f"The tokenizer in {encoder.name} gives token number {max(found):,} and {limit[1]} "
            f"has {limit[0]:,} tokens; "
            "use the tokenizer that the model was trained with."
        )
    if not found:
        raise BadInput(
            f"The tokenizer in {encoder.name} makes no tokens of {text[:40]!r}; remove that text."
        )
    return found


def _cut(tokens: list[int], encoder: Encoder, length: int) -> list[int]:
    """The first tokens of a text, with those that stand around it."""
    if len(tokens) <= length:
        return tokens
    ends = list(encoder.ends)
    return tokens[: length - len(ends)] + ends


def _require_room(encoder: Encoder, length: int) -> None:
    around = len(encoder.begins) + len(encoder.ends)
    if length <= around:
        raise BadInput(
            f"A window of {length} tokens has no room for text beside {around} of the tokenizer; "
            "ask for a longer one."
        )


def _require_one_end(models: Sequence[Model], encoder: Encoder) -> None:
    for model in models:
        try:
            ends = find_encoder(model).ends
        except BadInput:  # it takes the tokenizer of another
            continue
        if ends != encoder.ends:
            raise Incompatible(
                f"{models[0].name} and {model.name} end texts with different tokens; give both "
                "the same tokenizer."
            )


FORM = TaskForm(
    "labels", "FILE", "text", lambda rest, models: labels_task(Path(rest).expanduser(), models)
)
