"""Load a model: reference -> folder -> files -> family -> tensors, each step with its own clear
refusal.

The parts of this lie in `files/`: `references.py`, `folders.py`, `plan.py` (how tensors become
parameters) and `refusals.py` (the reasons).
Parameters stay in the precision they are stored in; modules are built in float32 from any. Nothing
in a folder is ever executed: weights are safetensors, or pickles where a person allows them, and a
repository's own code is never run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from lmc_core.errors import BadCheckpoint, LmcError
from lmc_core.models.architectures import hf
from lmc_core.models.config import Config, Json
from lmc_core.models.families import FAMILIES
from lmc_core.models.family import Family
from lmc_core.models.files import adapter, nanogpt
from lmc_core.models.files.error_wrapping import wrap_errors
from lmc_core.models.files.folders import Weights, find_weights, sharded
from lmc_core.models.files.hub import adapter_in_cache, cache_notes, folder_in_cache
from lmc_core.models.files.json_files import read_json
from lmc_core.models.files.legacy import completed, without_pooler
from lmc_core.models.files.plan import Files, Plan, assembled, assembled_lazily, planned
from lmc_core.models.files.prefixes import forms
from lmc_core.models.files.references import (
    REPOSITORY,
    Reference,
    allowing_pickle,
    clip,
    ignoring_extra,
    parse,
)
from lmc_core.models.files.refusals import unsupported, without_config
from lmc_core.models.files.unused_weights import notes_on
from lmc_core.models.files.validation import (
    quantisation,
    require_depth,
    require_plausible,
    require_types,
)
from lmc_core.models.files.vocabulary import read_vocabulary, rows_needed
from lmc_core.models.lazy import shapes
from lmc_core.models.model import Model, NotFinite
from lmc_core.models.rows import finite_rows
from lmc_core.models.zoo import zoo_folder, zoo_names


@dataclass(frozen=True)
class Described:
    """What is known of a checkpoint before its weights are read.

    Attributes:
        weights: its files.
        family: of the model.
        config: of the model, defaults filled in.
        files: what a plan is made from.
        notes: what a person should know of the kind of checkpoint, as sentences.
    """

    weights: Weights
    family: Family
    config: Config
    files: Files
    notes: tuple[str, ...] = ()

    def plan(self, ignore_extra: bool) -> Plan:
        """How its tensors become parameters; `notes` of it are all there are."""
        found = planned(self.files, self.family, self.config, ignore_extra)
        return replace(found, notes=(*self.notes, *found.notes, *notes_on(self.weights)))


def load(
    reference: str | Path,
    allow_pickle: bool = False,
    ignore_extra: bool = False,
    lazy: bool = False,
) -> Model:
    """Load a model, e.g. ``load("zoo:vit-fashion-s0")`` or ``load("hf:openai-community/gpt2")``.

    Args:
        reference: ``zoo:NAME``, ``hf:ORG/NAME[@REVISION]``, ``timm:NAME[.TAG]``, ``path:FOLDER``, a
            zoo name or a path; with ``+ADAPTER`` behind it, the model with that adapter merged into
            it.
        allow_pickle: whether weights may be read from pickled files where there are no safetensors.
        ignore_extra: whether tensors that have no place in the model, such as a value head, are
            left out.
        lazy: whether parameters are read when they are asked for and not kept (`models.lazy`); what
            is pickled, or has an adapter merged into it, is read whole all the same.

    Returns:
        The model in the precision it is stored in, checked against the layout of its family.

    Raises:
        UnknownName: if the zoo, the hub or timm has no such model.
        BadCheckpoint: if files are missing, damaged, foreign or hold values that are not finite.
        BadInput: for a model of the hub that is not in the local cache while there is no
            connection.
    """
    found = _parsed(reference, allow_pickle, ignore_extra)
    lazy = lazy and not found.adapters
    model = load_folder(
        _folder(found), found.base.label, found.allow_pickle, found.ignore_extra, lazy
    )
    for each in found.adapters:
        with wrap_errors(each.label):
            model = adapter.merged(model, _adapter_folder(each), each.label, found.allow_pickle)
    notes = _origin_notes(found)
    return replace(model, notes=(*notes, *model.notes)) if notes else model


def find_folders(reference: str | Path) -> list[Path]:
    """The folders that a reference is read from, fetched if they are the hub's: the model's, then
    those of its adapters; one given as a path need not exist.

    Raises:
        UnknownName: if the zoo, the hub or timm has no such model.
        BadInput: for a model of the hub that is not in the local cache while there is no
            connection.
    """
    found = _parsed(reference)
    return [_folder(found), *map(_adapter_folder, found.adapters)]


def full_reference(reference: str | Path) -> str:
    """The same reference in a form that means the same in any working folder; paths become
    absolute.

    Raises:
        UnknownName: if it is a name and the zoo has no such model.
    """
    found = _parsed(reference)
    adapters = tuple(_absolute(each) for each in found.adapters)
    if found.kind != "path":
        return str(replace(found, adapters=adapters))
    full = _absolute(found)
    folder = Path(full.name)
    if folder.parent == zoo_folder() and not (found.allow_pickle or found.ignore_extra):
        full = Reference("zoo", folder.name)
    return str(replace(full, adapters=adapters))


def find_files(reference: str | Path) -> list[Path]:
    """The files that a model and its notes are read from, as far as they are there: configuration,
    card, index, weights.
    """
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
    for each in found.adapters:
        files += adapter.files(_adapter_folder(each))
    return [path for path in files if path.is_file()]


def file_notes(reference: str | Path) -> tuple[str, ...]:
    """What a person should know of the files of a model, as sentences, without loading it; its
    `notes` say the same.
    """
    found = _parsed(reference)
    try:
        folder = _present(_folder(found))
        described = _described(folder, folder.name, found.allow_pickle)
        return (*_origin_notes(found), *described.plan(found.ignore_extra).notes)
    except (LmcError, OSError):
        return ()  # refused where it is loaded


def load_folder(
    folder: Path,
    name: str | None = None,
    allow_pickle: bool = False,
    ignore_extra: bool = False,
    lazy: bool = False,
) -> Model:
    """Load a checkpoint from a folder.

    Args:
        folder: with config.json and weights.
        name: of the model where no card.json gives one; the folder's by default.
        allow_pickle: whether pickled files may be read.
        ignore_extra: whether tensors that have no place in the model are left out.
        lazy: whether parameters are read when they are asked for, where the files allow it.
    """
    folder = _present(Path(folder).expanduser())
    name = name or folder.name
    with wrap_errors(name):
        described = _described(folder, name, allow_pickle)
        family, config = described.family, described.config
        plan = described.plan(ignore_extra)
        card = _card(folder)
        state = _read_state(described, plan, lazy)
        stored = {parameter: tensor.dtype for parameter, tensor in shapes(state).items()}
        model = Model(
            str(card.get("name") or name), family, config, state, card, folder, stored, plan.notes
        )
        try:
            return model.check()
        except NotFinite as error:
            return _with_padding(model, error).check()


def _read_state(described: Described, plan: Plan, lazy: bool) -> Mapping[str, Tensor]:
    """The parameters by their names in memory, read now or when they are asked for."""
    weights, files = described.weights, described.files
    family, config = described.family, described.config
    if lazy and not weights.pickled:
        found = assembled_lazily(plan, files, family, config, weights.reader())
        if found is not None:
            return found
    return assembled(plan, files, family, config, weights.read())


def _with_padding(model: Model, error: NotFinite) -> Model:
    """The model with it said that the last rows of its token tables are padding, if the tokenizer
    beside it says so.

    Raises:
        NotFinite: if the values that are not finite are elsewhere, or a token uses their rows.
    """
    first, vocabulary = finite_rows(model), read_vocabulary(model.folder)
    if first is None or (vocabulary is not None and first < rows_needed(vocabulary)):
        raise error
    if vocabulary is None:
        raise NotFinite(
            f"{error} They are in rows from number {first} on of its token table or head; put its "
            "tokenizer.json beside the "
            "weights, which tells whether a token uses them."
        ) from error
    note = (
        f"The token table or head of {model.name} holds no finite numbers in rows from number "
        f"{first:,} on, which no token of "
        f"its tokenizer uses; the {first:,} rows before them are taken."
    )
    return replace(model, rows=first, notes=(*model.notes, note))


def configuration(reference: str | Path, allow_pickle: bool = False) -> tuple[Family, Config]:
    """The family and configuration of a model, without reading its weights."""
    found = _parsed(reference, allow_pickle)
    folder = _present(_folder(found))
    with wrap_errors(folder.name):
        described = _described(folder, folder.name, found.allow_pickle)
        return described.family, described.config


def _described(folder: Path, name: str, allow_pickle: bool) -> Described:
    raw = read_json(folder / "config.json") if (folder / "config.json").is_file() else None
    if raw is not None:
        require_plausible(raw)
    try:
        weights = find_weights(folder, allow_pickle)
    except BadCheckpoint:
        if raw is None:
            raise without_config(folder, None) from None
        if raw.get("model_type") or raw.get("architecture"):
            _recognise(raw, name, ())  # a model that is not supported is the better reason
        raise
    where = (
        f"{folder.name}/{weights.files[0].name}"
        if weights.index is None
        else f"{folder.name}/{weights.index.name}"
    )
    beside = weights.content.beside if weights.pickled else {}
    if raw is None and not nanogpt.recognises(beside):
        raise without_config(folder, weights)
    names = weights.names()
    if raw is None:
        raw, convert = nanogpt.configuration(beside), nanogpt.converter(beside)
        notes = nanogpt.notes(beside, where)
    else:
        raw, convert, notes = _completed(raw, names), dict, _wrapper_notes(weights, where)
    family = _recognise(raw, name, names)
    config = family.config(raw)
    _require_class(family, raw, config, names, name)
    require_types(family, raw, config)
    require_depth(family, config, len(names))
    files = Files(where, weights.shapes(), weights.stored_as, quantisation(raw), convert)
    return Described(weights, family, config, files, notes)


# beginnings of names that a body alone has not
HEADS = tuple(
    (
        "lm_head. cls. classifier. qa_outputs. score. head. predictions. decoder.weight "
        "decoder.bias discriminator_predictions. generator_predictions. generator_lm_head. "
        "pre_classifier. sop_classifier."
    ).split()
)


def _require_class(
    family: Family, raw: Config, config: Config, names: list[str], name: str
) -> None:
    """Refuse weights with a head whose configuration names no class and would be read as a body
    alone.
    """
    if raw.get("architectures") or not family.classes or family.predicts(config) != "features":
        return
    head = next((each for each in names if each.startswith(HEADS)), None)
    if head is not None:
        raise BadCheckpoint(
            f"{name[:80]}/config.json names no class under 'architectures', and its weights hold "
            f"a head ({clip(head, 60)}); "
            f"write the class that it was saved from there, such as {family.classes[0]}."
        )


def _completed(raw: Config, names: list[str]) -> Config:
    """An old configuration with what the names of the parameters say, whatever is wrapped around
    them.
    """
    for form in forms(names):
        found = completed(raw, list(form.values()))
        if found.get("model_type"):
            break
    else:
        found = raw
    return without_pooler(found, names)


def _wrapper_notes(weights: Weights, where: str) -> tuple[str, ...]:
    """Which of several sets of weights in one pickle were read."""
    if not weights.pickled or not weights.content.others:
        return ()
    key, others = weights.content.key, ", ".join(map(repr, weights.content.others))
    return (f"{where} holds several sets of weights; {key!r} was read, and {others} was not.",)


def _origin_notes(found: Reference) -> tuple[str, ...]:
    """What a person should know of where the files were found."""
    if found.kind not in ("hf", "timm"):
        return ()
    return cache_notes(found)


def _parsed(
    reference: str | Path, allow_pickle: bool = False, ignore_extra: bool = False
) -> Reference:
    words = allowing_pickle(str(reference)) if allow_pickle else str(reference)
    return parse(ignoring_extra(words) if ignore_extra else words, zoo_names())


def _absolute(found: Reference) -> Reference:
    return replace(found, name=str(Path(found.name).absolute())) if found.kind == "path" else found


def _folder(found: Reference) -> Path:
    if found.kind == "zoo":
        return zoo_folder() / found.name
    if found.kind == "path":
        return Path(found.name)
    return folder_in_cache(found, lambda raw: _recognise(raw, found.base.label, ()))


def _adapter_folder(found: Reference) -> Path:
    """The folder of an adapter, fetched if it is one of the hub's."""
    if found.kind == "path":
        return Path(found.name)
    if found.kind != "hf":
        raise BadCheckpoint(f"An adapter is a folder or hf:ORG/NAME; {found} came behind the +.")
    return adapter_in_cache(found)


def _present(folder: Path) -> Path:
    """The folder's absolute path, if it is there."""
    try:
        if folder.is_dir():
            return folder.absolute()
        if folder.is_file():
            raise BadCheckpoint(
                f"A folder with config.json and model.safetensors is expected; {folder.name} is a "
                "file."
            )
    except OSError:  # a name too long for the file system
        pass
    hint = (
        f" A model of the hub is written hf:{folder}." if REPOSITORY.fullmatch(str(folder)) else ""
    )
    raise BadCheckpoint(
        f"There is no folder {clip(str(folder))}; give one with config.json and "
        f"model.safetensors.{hint}"
    )


def _recognise(config: Config, name: str, names: Collection[str]) -> Family:
    """The family of a configuration, whose class it supports; `names` are those of the parameters,
    for the refusal.

    A configuration that names no class is read as the family's usual one, as old language models
    have it.
    """
    for family in FAMILIES.values():
        if family.recognises(config):
            if family.classes:
                hf.named_class(config, family.classes, family.name)
            return family
    raise unsupported(config, name, names)


def _card(folder: Path) -> Config:
    """What `card.json` says, if there is one; its entries that are shown must be what they should
    be.
    """
    if not (folder / "card.json").is_file():
        return Config()
    card = read_json(folder / "card.json")
    for key in ("name", "family", "task"):
        value = card.get(key, "")
        if value is not None and not (
            isinstance(value, str) and value.isprintable() and len(value) <= 200
        ):
            raise BadCheckpoint(
                f"{folder.name}/card.json should give {key!r} in a few words; remove the file, or "
                "mend it."
            )
    scores = card.get("scores", {})
    if not isinstance(scores, dict) or not all(
        isinstance(s, dict) and _numbers(s) for s in scores.values()
    ):
        raise BadCheckpoint(
            f"{folder.name}/card.json should give 'scores' as numbers by split; remove the file, "
            "or mend it."
        )
    return Config({key: value for key, value in card.items() if value is not None})


def _numbers(values: Mapping[str, Json]) -> bool:
    return all(isinstance(value, int | float) or value is None for value in values.values())
