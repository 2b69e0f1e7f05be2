"""`text:FILE`: a text of one's own, read with the model's own tokenizer.

The file is UTF-8, or that in gzip. It is split by position as the shipped texts are, before it is
encoded: its first 80 % train, the next 10 % validate, the last 10 % test.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.tasks.characters import part
from lmc_core.tasks.encoders import Encoder, common_encoder
from lmc_core.tasks.form import TaskForm
from lmc_core.tasks.prediction import prediction
from lmc_core.tasks.task import SPLITS, Task
from lmc_core.tasks.windows import Marks, Windows

# bytes that are read of a text; 64 MiB are some 15 million tokens, more than any curve needs
LIMIT = 2**26


def read_text(path: Path, form: str = "text:FILE") -> str:
    """Read a file of text, UTF-8 or that in gzip.

    Args:
        path: of the file.
        form: of the reference that names it, for messages.

    Raises:
        BadInput: if it is missing, empty, too large, damaged, or not UTF-8.
    """
    name = path.name
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise BadInput(f"{form} expects a file of text; {str(path)!r} {kind}.")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"{name} cannot be read ({type(error).__name__}: {str(error)[:80]})."
        ) from error
    if len(content) > LIMIT:
        raise BadInput(f"{name} is larger than {LIMIT >> 20} MiB; give a part of it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{name} is not UTF-8 (byte {error.start + 1:,} fits nothing); save it as UTF-8."
        ) from error
    if not text.strip():
        raise BadInput(f"{name} holds no text.")
    return text


def text_task(path: Path, models: Sequence[Model]) -> Task:
    """Return the task of a file for models that share a tokenizer.

    Args:
        path: of the file.
        models: that will see the same tokens.

    Raises:
        BadInput: if the file cannot be read, or a model cannot read text.
    """
    path = path.absolute()
    text = read_text(path)
    encoder = common_encoder(models, text)
    return task_of_text(
        models,
        encoder,
        lambda split: part(text, split),
        name=f"text:{path.name}",
        sentence=f"{path.name}, {len(text):,} characters; the last tenth is the test split",
        reference=f"text:{path}",
    )


def task_of_text(
    models: Sequence[Model],
    encoder: Encoder,
    text: Callable[[str], str],
    name: str,
    sentence: str,
    reference: str,
    splits: tuple[str, ...] = SPLITS,
) -> Task:
    """Return the task of any text.

    Args:
        models: that will see the same tokens.
        encoder: their own.
        text: split -> its text.
        name: for people.
        sentence: for people.
        reference: that names the data anywhere.
        splits: that there are.
    """
    predicts = prediction(models)
    rows = min((model.family.sizes(model.config)["tokens"], model.name) for model in models)

    def stream(split: str) -> Tensor:
        return _stream(encoder, text(split), rows, name)

    marks = encoder.marks
    if marks is not None and predicts != "next":
        _require_rows(
            max(mark for mark in (marks.mask, marks.first, marks.last) if mark is not None),
            encoder,
            rows,
        )
        marks = replace(marks, vocabulary=min(marks.vocabulary, rows[0]))
    begins, notes = (), ()
    if predicts == "next" and encoder.begins:
        begins, notes = encoder.begins, (_begins_with(encoder),)
        _require_rows(max(begins), encoder, rows)
    read = partial(_windows, stream, predicts, marks, begins)
    unit = "nats per masked token" if predicts == "masked" else encoder.unit
    words = name, sentence, "text", unit, rows[0], "your own data"
    return Task(*words, read, stream, splits=splits, reference=reference, notes=notes)


def _begins_with(encoder: Encoder) -> str:
    return (
        f"Every window begins with {encoder.begins_with[:40]!r}, as the tokenizer begins every "
        "text; the loss is of the tokens "
        "of text alone."
    )


def _windows(
    stream: Callable[[str], Tensor],
    predicts: str,
    marks: Marks | None,
    begins: tuple[int, ...],
    split: str,
    length: int,
) -> Windows:
    return Windows(stream(split), length, predicts, marks, begins=begins)


def _require_rows(token: int, encoder: Encoder, rows: tuple[int, str]) -> None:
    if token >= rows[0]:
        raise BadInput(
            f"The tokenizer in {encoder.name} gives token number {token:,} and {rows[1]} has "
            f"{rows[0]:,} tokens; "
            "use the tokenizer that the model was trained with."
        )


@lru_cache(maxsize=4)
def _stream(encoder: Encoder, text: str, rows: tuple[int, str], name: str) -> Tensor:
    """Encode a text, once; tokens must be among the model's rows, and most of them known."""
    tokens = encoder.encode(text)
    if len(tokens):
        _require_rows(int(tokens.max()), encoder, rows)
    if (
        len(tokens)
        and encoder.unknown is not None
        and (share := float((tokens == encoder.unknown).float().mean())) > 0.5
    ):
        raise BadInput(
            f"{share:.0%} of the tokens of {name} are unknown to the tokenizer in {encoder.name}; "
            "give a text of the kind that the model was trained on."
        )
    return tokens


FORM = TaskForm(
    "text", "FILE", "text", lambda rest, models: text_task(Path(rest).expanduser(), models)
)
