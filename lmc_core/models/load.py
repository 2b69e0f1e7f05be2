"""Load a model: reference -> folder -> files -> family -> tensors, each step with its own clear refusal.

References are those of `references.py`, files those of `checkpoint_files.py`. Parameters stay in the precision they are stored
in; modules are built in float32 from any. Nothing in a folder is ever executed: weights are safetensors, or pickles where a
person allows them, and a repository's own code is never run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.blame import blame
from lmc_core.models.checkpoint_files import Weights, find_weights, read_json, sharded
from lmc_core.models.families import FAMILIES
from lmc_core.models.family import Family
from lmc_core.models.model import Model
from lmc_core.models.old_configs import completed, without_pooler
from lmc_core.models.passed_over import notes_on
from lmc_core.models.plausible import require_depth, require_plausible, require_types
from lmc_core.models.references import REPOSITORY, Reference, clip, parse
from lmc_core.models.safetensors_file import quantised
from lmc_core.places import assets

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)
NOT_SUPPORTED = {
    "albert": "all of its layers share one set of weights, so no layer can be moved by itself",
    "distilbert": "there is no layout for it yet",
}


def zoo_folder() -> Path:
    """The folder of the shipped models."""
    return assets() / "zoo"


def zoo() -> dict[str, Mapping[str, Any]]:
    """Name -> card of every shipped model, in alphabetical order."""
    return {path.parent.name: read_json(path) for path in sorted(zoo_folder().glob("*/card.json"))}


def load(reference: str | Path, allow_pickle: bool = False) -> Model:
    """Load a model, e.g. ``load("zoo:vit-fashion-s0")`` or ``load("hf:openai-community/gpt2")``.

    Args:
        reference: ``zoo:NAME``, ``hf:ORG/NAME[@REVISION]``, ``timm:NAME[.TAG]``, ``path:FOLDER``, a zoo name or a path.
        allow_pickle: whether weights may be read from `.bin`, `.pt` and `.pth` files where there are no safetensors.

    Returns:
        The model in the precision it is stored in, checked against the layout of its family.

    Raises:
        UnknownName: if the zoo, the hub or timm has no such model.
        BadCheckpoint: if files are missing, damaged, foreign or hold values that are not finite.
        BadInput: for a model of the hub that is not in the local cache while there is no connection.
    """
    found = _parsed(reference, allow_pickle)
    return load_folder(_folder(found), found.label, found.allow_pickle)


def folder_of(reference: str | Path) -> Path:
    """Return the folder a reference means, fetched if it is one of the hub's; one given as a path need not exist.

    Raises:
        UnknownName: if the zoo, the hub or timm has no such model.
        BadInput: for a model of the hub that is not in the local cache while there is no connection.
    """
    return _folder(_parsed(reference))


def full_reference(reference: str | Path) -> str:
    """The same reference in a form that means the same in any working folder; paths become absolute.

    Raises:
        UnknownName: if it is a name and the zoo has no such model.
    """
    found = _parsed(reference)
    if found.kind != "path":
        return str(found)
    folder = Path(found.name).absolute()
    if folder.parent == zoo_folder() and not found.allow_pickle:
        return f"zoo:{folder.name}"
    return str(Reference("path", str(folder), None, found.allow_pickle))


def files_of(reference: str | Path) -> list[Path]:
    """The files that a model and its notes are read from, as far as they are there: configuration, card, index, weights."""
    found = _parsed(reference)
    folder = _folder(found)
    files = [folder / "config.json", folder / "card.json"]
    try:
        weights = find_weights(folder, found.allow_pickle)
        files += [*weights.files, *([weights.index] if weights.index else [])]
        if weights.beside is not None:  # what is said of a model depends on them
            files.append(weights.beside)
            files += sharded(weights.beside).files
    except (BadCheckpoint, OSError):
        pass
    return [path for path in files if path.is_file()]


def file_notes(reference: str | Path) -> tuple[str, ...]:
    """What a person should know of the files of a model, as sentences, without loading it; its `notes` say the same."""
    found = _parsed(reference)
    try:
        return notes_on(find_weights(_folder(found), found.allow_pickle))
    except (BadCheckpoint, OSError):
        return ()  # refused where it is loaded


def load_folder(folder: Path, name: str | None = None, allow_pickle: bool = False) -> Model:
    """Load a checkpoint from a folder.

    Args:
        folder: with config.json and weights.
        name: of the model where no card.json gives one; the folder's by default.
        allow_pickle: whether `.bin`, `.pt` and `.pth` files may be read.
    """
    folder = _present(Path(folder).expanduser())
    name = name or folder.name
    with blame(name):
        weights, family, config = _described(folder, name, allow_pickle)
        card = _card(folder)
        state = _read(weights, family, config)
        stored = {parameter: tensor.dtype for parameter, tensor in state.items()}
        return Model(card.get("name") or name, family, config, state, card, folder, stored, notes_on(weights)).check()


def configuration(reference: str | Path, allow_pickle: bool = False) -> tuple[Family, dict[str, Any]]:
    """The family and configuration of a model, without reading its weights."""
    found = _parsed(reference, allow_pickle)
    folder = _present(_folder(found))
    with blame(folder.name):
        return _described(folder, folder.name, found.allow_pickle)[1:]


def _described(folder: Path, name: str, allow_pickle: bool) -> tuple[Weights, Family, dict[str, Any]]:
    raw = read_json(folder / "config.json")
    require_plausible(raw)
    try:
        weights = find_weights(folder, allow_pickle)
    except BadCheckpoint:
        if raw.get("model_type") or raw.get("architecture"):
            _recognise(raw, name, ())  # a model that is not supported is the better reason
        raise
    names = weights.names()
    raw = without_pooler(completed(raw, names), names)
    family = _recognise(raw, name, names)
    config = family.config(raw)
    require_types(family, raw, config)
    require_depth(family, config, len(names))
    return weights, family, config


def supported() -> str:
    """Names of the families in alphabetical order, for sentences."""
    return ", ".join(sorted(FAMILIES))


def _parsed(reference: str | Path, allow_pickle: bool = False) -> Reference:
    found = parse(reference, _zoo_names())
    return Reference(found.kind, found.name, found.revision, found.allow_pickle or allow_pickle)


def _zoo_names() -> list[str]:
    return sorted(path.parent.name for path in zoo_folder().glob("*/card.json"))


def _folder(found: Reference) -> Path:
    if found.kind == "zoo":
        return zoo_folder() / found.name
    if found.kind == "path":
        return Path(found.name)
    from lmc_core.models.hub import folder_in_cache

    return folder_in_cache(found, lambda raw: _recognise(raw, found.label, ()))


def _present(folder: Path) -> Path:
    """The folder's absolute path, if it is there."""
    try:
        if folder.is_dir():
            return folder.absolute()
        if folder.is_file():
            raise BadCheckpoint(f"A folder with config.json and model.safetensors is expected; {folder.name} is a file.")
    except OSError:  # a name too long for the file system
        pass
    hint = f" A model of the hub is written hf:{folder}." if REPOSITORY.fullmatch(str(folder)) else ""
    raise BadCheckpoint(f"There is no folder {clip(str(folder))}; give one with config.json and model.safetensors.{hint}")


def _recognise(config: Mapping[str, Any], name: str, names: Iterable[str]) -> Family:
    """The family of a configuration, whose class it supports; `names` are those of the parameters, for the refusal.

    A configuration that names no class is read as the family's usual one, as old language models have it.
    """
    for family in FAMILIES.values():
        if family.recognises(config):
            if family.classes:
                hf.named_class(config, family.classes, family.name)
            return family
    kind = config.get("model_type") or config.get("architecture")
    first = next(iter(names), None)
    words = f"{name[:80]}/config.json says {clip(str(kind))}" if kind else f"{name[:80]}/config.json names no kind of model"
    if isinstance(kind, str) and kind in NOT_SUPPORTED:
        words += f", which is not supported because {NOT_SUPPORTED[kind]}"
    elif config.get("auto_map"):
        words += ", a model with code of its own, which is never run"
    elif first:
        words += f", and its first parameter, {clip(first, 60)}, has no place in any layout"
    raise BadCheckpoint(f"{words}; supported: {supported()}.")


def _read(weights: Weights, family: Family, config: Mapping[str, Any]) -> dict[str, Tensor]:
    layout = family.layout(config)  # before the weights: a configuration that is refused costs no time
    state = family.from_disk(weights.read(), config)
    try:
        layout.check(state)
    except BadCheckpoint as error:
        head = layout.by_name.get("head.weight")
        if head is not None and head.parameter not in state and config.get("tie_word_embeddings") is False:
            raise BadCheckpoint(
                f"The head {head.parameter!r} is not stored, and the configuration says tie_word_embeddings=false; set it to "
                "true in its config.json if the head is the token table, or fetch the checkpoint again."
            ) from error
        raise BadCheckpoint(f"{error} Supported: {supported()}.") from error
    for name, tensor in state.items():
        if tensor.dtype not in PRECISIONS:
            raise quantised(name, str(tensor.dtype).removeprefix("torch."))
    return state


def _card(folder: Path) -> dict[str, Any]:
    """What `card.json` says, if there is one; its entries that are shown must be what they should be."""
    if not (folder / "card.json").is_file():
        return {}
    card = read_json(folder / "card.json")
    for key in ("name", "family", "task"):
        value = card.get(key, "")
        if value is not None and not (isinstance(value, str) and value.isprintable() and len(value) <= 200):
            raise BadCheckpoint(f"{folder.name}/card.json should give {key!r} in a few words; remove the file, or mend it.")
    scores = card.get("scores", {})
    if not isinstance(scores, dict) or not all(isinstance(s, dict) and _numbers(s) for s in scores.values()):
        raise BadCheckpoint(f"{folder.name}/card.json should give 'scores' as numbers by split; remove the file, or mend it.")
    return {key: value for key, value in card.items() if value is not None}


def _numbers(values: Mapping[str, Any]) -> bool:
    return all(isinstance(value, int | float) or value is None for value in values.values())
