"""What belongs to a checkpoint besides its weights: tokenizer, preparation of images, names of
classes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from lmc_core.models.config import Config

FILES = tuple(
    (
        "tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json vocab.json "
        "merges.txt vocab.txt tokenizer.model spiece.model sentencepiece.bpe.model "
        "preprocessor_config.json"
    ).split()
)
# transformers', then timm's
LABELS = ("id2label", "label2id", "label_names", "label_descriptions", "problem_type")
ORDERED = LABELS[:3]  # those that number the classes
PREPARATION = "pretrained_cfg"  # timm's
GENERATION = "generation_config.json"


def carry_over(source: Path | None, target: Path, class_names: Sequence[str] = ()) -> None:
    """Give a checkpoint that was written anew what the one it was made from had beside its weights.

    Args:
        source: folder of the original; None for a model made in memory.
        target: folder of the new one, with its config.json.
        class_names: of a classifier whose outputs are in another order than the original's, in this
            order; () for any other.
    """
    if class_names:
        _name_classes(target, class_names)
    if source is None or not source.is_dir():
        return
    for name in FILES:
        if (source / name).is_file() and not (target / name).exists():
            shutil.copyfile(source / name, target / name)
    old, new = _config(source), _config(target)
    if new.get("model_type") == "whisper" and (generation := _config(source, GENERATION)):
        # tokens of languages and tasks; the heads that give times are named by numbers that may
        # have changed
        generation.pop("alignment_heads", None)
        (target / GENERATION).write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
    kept = [name for name in LABELS if name in old and not (class_names and name in ORDERED)]
    merged = new | {name: old[name] for name in kept}
    if isinstance(old.get(PREPARATION), dict):
        own = new.part(PREPARATION) if new.get(PREPARATION) else {}
        merged[PREPARATION] = old.part(PREPARATION) | own
    if merged != new:
        (target / "config.json").write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")


def _name_classes(target: Path, names: Sequence[str]) -> None:
    """Write the names of the classes as the library of the checkpoint does."""
    config = _config(target)
    if "architecture" in config:  # timm
        config["label_names"] = list(names)
    else:
        config["id2label"] = {str(number): name for number, name in enumerate(names)}
        config["label2id"] = {name: number for number, name in enumerate(names)}
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _config(folder: Path, name: str = "config.json") -> Config:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Config()
    return Config(content if isinstance(content, dict) else {})
