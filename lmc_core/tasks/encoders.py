"""Text into tokens, as a model's own tokenizer does it.

A model whose card names a shipped text task reads that task's characters. For every other the
tokenizer lies in the folder that its weights were read from: `tokenizer.json`, else the older files
that transformers reads. Nothing is fetched, and no code from the folder is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.files.stamp import stamp
from lmc_core.models.model import Model
from lmc_core.tasks import characters
from lmc_core.tasks.shipped import find_shipped
from lmc_core.tasks.windows import Marks

OLDER = ("vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
# what the marks are called in files that do not say
USUAL = {
    "mask_token": ("[MASK]", "<mask>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
}
COMPARED = 20_000  # characters on which two tokenizers are compared
PROBE = "a text"  # of which one sees what a tokenizer puts around it


@dataclass(frozen=True, eq=False)
class Encoder:
    """How text becomes tokens.

    Attributes:
        encode: text -> token numbers `[n]`, without marks at the ends.
        unit: of a loss per token.
        unknown: number of the token that stands for what the tokenizer does not know; None without
            one.
        marks: of masked windows; None for a tokenizer without a mask.
        name: for messages.
        begins: the tokens that the tokenizer puts before every text (Gemma's and Llama's
            ``<bos>``), which the model expects.
        begins_with: the same in its own words.
        ends: the tokens that the tokenizer puts behind every text.
    """

    encode: Callable[[str], Tensor]
    unit: str
    unknown: int | None
    marks: Marks | None
    name: str
    begins: tuple[int, ...] = ()
    begins_with: str = ""
    ends: tuple[int, ...] = ()


def find_encoder(model: Model) -> Encoder:
    """Return the model's own encoder.

    Raises:
        BadInput: if it has no tokenizer, or one that cannot be read.
    """
    shipped = find_shipped(model)
    if shipped is not None and shipped.alphabet is not None:
        return _characters(shipped.alphabet())
    if model.folder is None:
        raise BadInput(
            f"{model.name} was not read from a folder, so its tokenizer is not known; save it "
            "beside its tokenizer."
        )
    # config.json says of what kind older files are
    names = ("tokenizer*", "special_tokens_map.json", "config.json", *OLDER)
    files = sorted({path for name in names for path in model.folder.glob(name) if path.is_file()})
    if not any(path.name in ("tokenizer.json", *OLDER) for path in files):
        raise BadInput(
            f"{model.name} has no tokenizer: {model.folder.name} should hold tokenizer.json; "
            "copy it there from where the model comes from."
        )
    return _read(model.folder, stamp(files))


def common_encoder(models: Sequence[Model], text: str) -> Encoder:
    """Return the encoder of all the models, of which at least one must have one.

    Args:
        models: that will see the same tokens.
        text: that their tokenizers must agree on.

    Raises:
        BadInput: if none has a tokenizer.
        Incompatible: if two of them encode the text differently, or one of them begins it with a
            token and another does not.
    """
    found: list[tuple[Model, Encoder]] = []
    missing: list[BadInput] = []
    for model in models:
        try:
            found.append((model, find_encoder(model)))
        except BadInput as error:
            missing.append(error)
    if not found:
        raise missing[0]
    model, encoder = found[0]
    expected = encoder.encode(text[:COMPARED])
    for other, its in found[1:]:
        if its is not encoder and not torch.equal(its.encode(text[:COMPARED]), expected):
            raise Incompatible(
                f"{model.name} and {other.name} have different tokenizers, so that their tokens "
                "do not mean the same; "
                "choose two models with one tokenizer."
            )
        if its.begins != encoder.begins:
            both = [
                f"{who.name} begins every text with "
                f"{repr(each.begins_with) if each.begins else 'no token of its own'}"
                for who, each in ((model, encoder), (other, its))
            ]
            raise Incompatible(
                f"{' and '.join(both)}, so that they expect other inputs; give both the same "
                "tokenizer."
            )
    return encoder


@lru_cache(maxsize=4)
def _characters(alphabet: str) -> Encoder:
    return Encoder(
        lambda text: characters.encode(text, alphabet),
        "nats per character",
        None,
        None,
        "characters",
    )


@lru_cache(maxsize=4)
def _read(folder: Path, content: tuple[str, ...]) -> Encoder:
    with _readable(folder):
        return _fast(folder) if (folder / "tokenizer.json").is_file() else _older(folder)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turn whatever a damaged tokenizer raises into one sentence."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # the tokenizers package raises plain Exception
        words = " ".join(str(error).split())[:120]
        raise BadInput(
            f"The tokenizer in {folder.name} cannot be read ({words}); fetch it again, or put its "
            "tokenizer.json there."
        ) from error


def _fast(folder: Path) -> Encoder:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()  # files of sentence encoders cut and pad to their window
    tokenizer.no_padding()
    named = _read_json(folder / "special_tokens_map.json") | _read_json(
        folder / "tokenizer_config.json"
    )

    def number(kind: str) -> int | None:
        given = named.get(kind)
        given = given.get("content") if isinstance(given, dict) else given
        options = [given] if isinstance(given, str) else USUAL.get(kind, ())
        return next(
            (found for name in options if (found := tokenizer.token_to_id(name)) is not None), None
        )

    unknown = getattr(tokenizer.model, "unk_token", None)
    whole = [tokenizer.encode(PROBE, add_special_tokens=added).ids for added in (True, False)]
    begins = _before(*whole) or _asked_for(named, number("bos_token"))
    ends = _behind(*whole) or _asked_for(named, number("eos_token"), "add_eos_token")
    return _encoder(
        lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        tokenizer.get_vocab_size(),
        {kind: number(kind) for kind in USUAL},
        tokenizer.token_to_id(unknown) if unknown else None,
        folder.name,
        begins,
        " ".join(str(tokenizer.id_to_token(token)) for token in begins),
        ends,
    )


def _older(folder: Path) -> Encoder:
    from transformers import AutoTokenizer, BertTokenizer

    says = [_read_json(folder / name) for name in ("config.json", "tokenizer_config.json")]
    # files from before 2020 do not say of what kind they are; a list of words in vocab.txt was
    # BERT's
    unsaid = (
        "model_type" not in says[0]
        and "tokenizer_class" not in says[1]
        and (folder / "vocab.txt").is_file()
    )
    tokenizer = (BertTokenizer if unsaid else AutoTokenizer).from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False
    )
    whole = [tokenizer.encode(PROBE, add_special_tokens=added) for added in (True, False)]
    begins = _before(*whole) or _asked_for(says[1], tokenizer.bos_token_id)
    ends = _behind(*whole) or _asked_for(says[1], tokenizer.eos_token_id, "add_eos_token")
    return _encoder(
        lambda text: tokenizer.encode(text, add_special_tokens=False, verbose=False),
        len(tokenizer),
        {kind: getattr(tokenizer, f"{kind}_id", None) for kind in USUAL},
        tokenizer.unk_token_id,
        folder.name,
        begins,
        " ".join(map(str, tokenizer.convert_ids_to_tokens(list(begins)))),
        ends,
    )


def _before(whole: list[int], text: list[int]) -> tuple[int, ...]:
    """The tokens that stand before those of a text, of the whole that a tokenizer makes of it."""
    starts = range(len(whole) - len(text) + 1)
    return tuple(
        whole[: next((at for at in starts if text and whole[at : at + len(text)] == text), 0)]
    )


def _behind(whole: list[int], text: list[int]) -> tuple[int, ...]:
    """The tokens that stand behind those of a text, of the whole that a tokenizer makes of it."""
    at = len(_before(whole, text))
    return tuple(whole[at + len(text) :]) if text and whole[at : at + len(text)] == text else ()


def _asked_for(
    says: Mapping[str, object], token: int | None, entry: str = "add_bos_token"
) -> tuple[int, ...]:
    """The token around a text that `tokenizer_config.json` asks for, as older versions of
    transformers read it.
    """
    return (token,) if says.get(entry) is True and token is not None else ()


def _read_json(path: Path) -> dict[str, object]:
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _encoder(
    encode: Callable[[str], list[int]],
    size: int,
    numbers: dict[str, int | None],
    unknown: int | None,
    name: str,
    begins: tuple[int, ...],
    begins_with: str,
    ends: tuple[int, ...],
) -> Encoder:
    if not size:
        raise BadInput(f"The tokenizer in {name} knows no tokens; fetch it again.")
    masked = numbers["mask_token"]
    marks = (
        None if masked is None else Marks(masked, numbers["cls_token"], numbers["sep_token"], size)
    )
    tokens = lambda text: torch.tensor(encode(text), dtype=torch.int64)  # noqa: E731
    return Encoder(tokens, "nats per token", unknown, marks, name, begins, begins_with, ends)
