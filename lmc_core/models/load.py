"""Where weights come from: `zoo:NAME`, a plain zoo name, `path:FOLDER`, or a plain path.

A folder holds `config.json` and `model.safetensors`, as transformers' `save_pretrained` or timm write them. Only safetensors
are read, so nothing in a file is ever executed. Half precision is upcast to float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lmc_core.errors import BadCheckpoint, UnknownName
from lmc_core.models.families import FAMILIES
from lmc_core.models.family import Family
from lmc_core.models.model import Model
from lmc_core.places import assets

OTHER_FORMATS = ("pytorch_model.bin", "model.safetensors.index.json", "tf_model.h5", "flax_model.msgpack")


def zoo_folder() -> Path:
    """The folder of the shipped models."""
    return assets() / "zoo"


def zoo() -> dict[str, Mapping[str, Any]]:
    """Name -> card of every shipped model, in alphabetical order."""
    cards = sorted(zoo_folder().glob("*/card.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in cards}


def load(reference: str | Path) -> Model:
    """Load a model, e.g. ``load("zoo:vit-fashion-s0")``.

    Args:
        reference: ``zoo:NAME``, a zoo name, ``path:FOLDER`` or a path.

    Returns:
        The model in float32, checked against the layout of its family.

    Raises:
        UnknownName: if the zoo has no such model, or no family fits.
        BadCheckpoint: if files are missing, damaged, foreign or hold values that are not finite.
    """
    return load_folder(folder_of(reference))


def folder_of(reference: str | Path) -> Path:
    """Return the folder a reference means; one given as a path need not exist.

    Raises:
        UnknownName: if it is a name and the zoo has no such model.
    """
    text = str(reference)
    if text.startswith("path:"):
        return Path(text.removeprefix("path:")).expanduser()
    name = text.removeprefix("zoo:")
    if "/" not in name and (zoo_folder() / name / "card.json").is_file():
        return zoo_folder() / name
    folder = Path(text).expanduser()
    if not text.startswith("zoo:") and text and (folder.exists() or "/" in text or text.startswith(".")):
        return folder
    raise UnknownName.of("model", name, zoo())


def full_reference(reference: str | Path) -> str:
    """The same reference in a form that means the same in any working folder: ``zoo:NAME``, or ``path:`` and an absolute path.

    Raises:
        UnknownName: if it is a name and the zoo has no such model.
    """
    folder = folder_of(reference).absolute()
    return f"zoo:{folder.name}" if folder.parent == zoo_folder() else f"path:{folder}"


def load_folder(folder: Path) -> Model:
    """Load a checkpoint from a folder."""
    folder = Path(folder).expanduser()
    if folder.is_file():
        raise BadCheckpoint(f"A folder with config.json and model.safetensors is expected; {folder.name} is a file.")
    if not folder.is_dir():
        raise BadCheckpoint(f"There is no folder {str(folder)!r}; give a folder with config.json and model.safetensors.")
    raw = _read_json(folder / "config.json")
    family = _recognise(raw, folder)
    config = family.config(raw)
    weights = folder / "model.safetensors"
    if not weights.is_file():
        other = next((name for name in OTHER_FORMATS if (folder / name).exists()), None)
        found = f" (found {other}, which is not supported: save it again with safetensors in one file)" if other else ""
        raise BadCheckpoint(f"The file model.safetensors is missing from {folder.name}{found}.")
    layout = family.layout(config)
    state = family.from_disk(_read_tensors(weights), config)
    layout.check(state)
    card = _read_json(folder / "card.json") if (folder / "card.json").is_file() else {}
    return Model(str(card.get("name", folder.name)), family, config, state, card, folder.absolute()).check()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadCheckpoint(f"The file {path.name} is missing from {path.parent.name}.") from None
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{path.parent.name}/{path.name} is not readable JSON ({type(error).__name__}).") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path.parent.name}/{path.name} should hold a JSON object; it holds a {type(content).__name__}.")
    return content


def _recognise(config: Mapping[str, Any], folder: Path) -> Family:
    for family in FAMILIES.values():
        if family.recognises(config):
            return family
    kind = config.get("model_type") or config.get("architecture") or "nothing that names a family"
    raise BadCheckpoint(
        f"{folder.name}/config.json says {kind!r}; supported families: "
        + "; ".join(f"{family.name} ({family.sentence.rstrip('.')})" for family in FAMILIES.values())
        + "."
    )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{path.parent.name}/{path.name} is truncated or no safetensors file ({str(error)[:120]}); fetch it again."
        ) from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
