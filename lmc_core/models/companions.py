"""What belongs to a checkpoint besides its weights: tokenizer, preparation of images, names of classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"),
    *("vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "preprocessor_config.json"),
)
LABELS = ("id2label", "label2id", "label_names", "label_descriptions")  # transformers', then timm's
PREPARATION = "pretrained_cfg"  # timm's


def carry_over(source: Path | None, target: Path) -> None:
    """Give a checkpoint that was written anew what the one it was made from had beside its weights.

    Args:
        source: folder of the original; None for a model made in memory.
        target: folder of the new one, with its config.json.
    """
    if source is None or not source.is_dir():
        return
    for name in FILES:
        if (source / name).is_file() and not (target / name).exists():
            shutil.copyfile(source / name, target / name)
    old, new = _config(source), _config(target)
    merged = new | {name: old[name] for name in LABELS if name in old}
    if isinstance(old.get(PREPARATION), dict):
        merged[PREPARATION] = old[PREPARATION] | (new.get(PREPARATION) or {})
    if merged != new:
        (target / "config.json").write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")


def _config(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
