"""Models that are only asked what they take and predict, with real tokenizers beside them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

SENTENCE = "the quick brown fox jumps over the lazy dog and runs away from a very big cat"
WORDS = SENTENCE.split()


def text_of(words: int, seed: int = 7) -> str:
    """A text of so many words, not periodic."""
    state, chosen = seed, []
    for _ in range(words):
        state = (1103515245 * state + 12345) % 2**31
        chosen.append(WORDS[(state >> 16) % len(WORDS)])
    return " ".join(chosen)


def model(
    takes: str = "text",
    predicts: str | None = None,
    folder: Path | None = None,
    card: dict[str, Any] | None = None,
    name: str = "m",
    **sizes: int,
) -> Any:
    """What tasks look at in a model."""
    sizes = {"tokens": 100, "context": 64, "classes": 3, "channels": 3, "image": 8} | sizes
    family = SimpleNamespace(takes=takes, sizes=lambda config: sizes)
    if predicts is not None:
        family.predicts = lambda config: predicts
    return SimpleNamespace(
        name=name, family=family, config={}, folder=folder, card=card or {}, class_names=()
    )


def word_tokenizer(
    folder: Path, words: list[str] | None = None, cut: bool = False, around: str = "", **says: Any
) -> Tokenizer:
    """Write a tokenizer with one token per word and BERT's marks.

    Args:
        folder: to write into.
        words: that it knows.
        cut: lets it cut and pad, as sentence encoders do.
        around: what it makes of a text, e.g. "[CLS] $A [SEP]"; "" for the text alone.
        says: further entries of `tokenizer_config.json`.
    """
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words or WORDS)]
    tokenizer = Tokenizer(
        models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if around:
        tokenizer.post_processor = TemplateProcessing(
            single=around, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    if cut:
        tokenizer.enable_truncation(6)
        tokenizer.enable_padding(length=5000)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {"mask_token": {"content": "[MASK]"}, "cls_token": "[CLS]"} | says
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return tokenizer
