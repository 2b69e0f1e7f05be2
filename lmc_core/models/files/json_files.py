"""The small JSON files of a checkpoint folder, read within bounds; nothing here loads torch."""

from __future__ import annotations

import json
from pathlib import Path

from lmc_core.errors import BadCheckpoint
from lmc_core.models.config import Config

CONFIG_BYTES = 2**24  # the largest that is read; real ones have a few kB
ADAPTER = "adapter_config.json"
FOREIGN = {
    "tf_model.h5": "TensorFlow weights; save the model with safetensors",
    "flax_model.msgpack": "Flax weights; save the model with safetensors",
}


def read_json(path: Path, limit: int = CONFIG_BYTES) -> Config:
    """Read a JSON object.

    Raises:
        BadCheckpoint: if the file is missing, too large, or no JSON object in UTF-8.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        if not path.is_file():
            raise BadCheckpoint(
                f"The file {path.name} is missing from {path.parent.name}.{hint(path.parent)}"
            )
        size = path.stat().st_size
        if size > limit:
            raise BadCheckpoint(
                f"{where} has {size:,} bytes; at most {limit:,} are expected of such a file."
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadCheckpoint(
            f"{where} is not readable JSON ({type(error).__name__}); fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise BadCheckpoint(
            f"{where} should hold a JSON object; it holds a {type(content).__name__}."
        )
    return Config(content)


def hint(folder: Path) -> str:
    """A sentence about files of another kind that a folder holds; "" where there are none."""
    if (folder / ADAPTER).is_file():
        return (
            f" The folder holds {ADAPTER}: an adapter; write {find_base(folder)}+{folder.name} "
            "to merge it into its base."
        )
    for name, what in FOREIGN.items():
        if (folder / name).is_file():
            return f" The folder holds {name}: {what}."
    return ""


def find_base(adapter: Path) -> str:
    """The model that an adapter's configuration names as its base; "BASE" where it names none."""
    try:
        base = read_json(adapter / ADAPTER).get("base_model_name_or_path")
    except BadCheckpoint:
        return "BASE"
    if not isinstance(base, str) or not base.isprintable() or not 0 < len(base) <= 100:
        return "BASE"
    return base if base[0] in "./~" or len(base.split("/")) != 2 else f"hf:{base}"
