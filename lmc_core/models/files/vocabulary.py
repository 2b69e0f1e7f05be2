"""Which tokens the tokenizer beside a model has, read from its files alone: what tells rows that
mean something from padding.

Tables are often made longer than their tokenizer, to a multiple of 64 or for tokens to come; the
rows beyond are never read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from lmc_core.models.files.stamp import stamp

# read by transformers alone
OTHERS = ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "added_tokens.json",
    "tokenizer_config.json",
    *OTHERS,
)


def read_vocabulary(folder: Path | None) -> Mapping[str, int] | None:
    """Token -> number of the tokenizer in a folder; None where there is none, or it cannot be read.

    Args:
        folder: that the model was read from; None for a model made in memory.
    """
    if folder is None or not folder.is_dir():
        return None
    files = [folder / name for name in FILES if (folder / name).is_file()]
    return _read(folder, stamp(files)) if files else None


@lru_cache(maxsize=8)
def _read(folder: Path, content: tuple[str, ...]) -> Mapping[str, int] | None:
    try:
        found = _vocabulary(folder)
    except (
        Exception
    ):  # of a damaged file many kinds; whoever needs its tokens says what is wrong with it
        return None
    return found or None


def _vocabulary(folder: Path) -> dict[str, int]:
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True)
    found: dict[str, int] = {}
    if (folder / "vocab.txt").is_file():
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        found = {
            line.rstrip("\r"): number
            for number, line in enumerate(lines[: -1 if not lines[-1] else None])
        }
    elif (folder / "vocab.json").is_file():
        found = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    elif any((folder / name).is_file() for name in OTHERS):
        from transformers import AutoTokenizer

        options = {"local_files_only": True, "trust_remote_code": False}
        return AutoTokenizer.from_pretrained(str(folder), **options).get_vocab()
    if (folder / "added_tokens.json").is_file():
        found |= json.loads((folder / "added_tokens.json").read_text(encoding="utf-8"))
    return {str(token): int(number) for token, number in found.items()}


def rows_needed(vocabulary: Mapping[str, int]) -> int:
    """How many rows a table needs for all tokens of a tokenizer."""
    return max(vocabulary.values()) + 1


def disagreement(a: Mapping[str, int], b: Mapping[str, int]) -> str | None:
    """Where two tokenizers give one token two numbers, or one number two tokens, as a clause; None
    where they agree.

    A tokenizer may have tokens that the other lacks.
    """
    for token, number in a.items():
        if b.get(token, number) != number:
            return (
                f"{token[:40]!r} is token number {number:,} of the one and {b[token]:,} of the "
                "other"
            )
    numbered = {number: token for token, number in a.items()}
    for token, number in b.items():
        if token not in a and number in numbered:
            return (
                f"token number {number:,} is {numbered[number][:40]!r} of the one and "
                f"{token[:40]!r} of the other"
            )
    return None
