"""Models beside those that are shipped: merged ones that were kept, folders, and what lies in the
hub's local cache.

The page fetches nothing: a model of the hub or of timm has to be in the local cache, where
`lmc show` or `hf download` puts it. Folders have to lie where the app may read, pickles are
refused, and no code of a repository is ever run.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from lmc_core import elsewhere, folders
from lmc_core.atomic import write_file
from lmc_core.errors import BadInput, LmcError
from lmc_core.models.files.references import Reference, ignoring_extra, parse
from lmc_core.models.listing import Row
from lmc_core.models.zoo import zoo
from lmc_core.runs.remembered import read_row
from lmc_core.ui import backend, current

IN_CACHE = "lmc_core.models.files.hub:in_cache"
NAME = "own_models"  # in the session: references that this person added
FILE = "own_models.json"  # in the folder of results: the same, over sessions
# query parameters that name a model each
NAMING = ("a", "b", "c", "from", "tuned", "to", "itself")
MOST = 50  # references that are remembered


def kept() -> dict[str, str]:
    """Name -> reference of the models in the folder of results, which merging and training put
    there.
    """
    folder = folders.home() / "models"
    try:
        found = sorted(path for path in folder.iterdir() if (path / "config.json").is_file())
    except OSError:
        return {}
    return {path.name: f"path:{path.resolve()}" for path in found}


def add(reference: str, ignore_extra: bool = False) -> str:
    """Add a model to those that can be chosen in this session; returns the name under which it is
    listed.

    Args:
        reference: as it was typed.
        ignore_extra: whether tensors that have no place in the model are left out.

    Raises:
        BadInput: (or another of its kinds) with the reason, when it cannot be used.
    """
    backend.require_writable()
    name = ignoring_extra(reference.strip()) if ignore_extra else reference.strip()
    row_of(name)
    st.session_state[NAME] = list(dict.fromkeys([*st.session_state.get(NAME, []), name]))
    _write_remembered([*(each for each in remembered() if each != name), name])
    return name


def forget(name: str) -> None:
    """Take a model that was added out of the lists; its files stay.

    Raises:
        BadInput: on a server for an audience.
    """
    backend.require_writable()
    st.session_state[NAME] = [each for each in st.session_state.get(NAME, []) if each != name]
    _write_remembered([each for each in remembered() if each != name])


def remembered() -> list[str]:
    """Return the references that were added, in this session or an earlier one, oldest first."""
    try:
        found = json.loads((folders.home() / FILE).read_bytes())
    except (OSError, ValueError):
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _write_remembered(names: Sequence[str]) -> None:
    """Keep references for later sessions, where the folder of results can be written to."""
    with contextlib.suppress(OSError):
        write_file(folders.home() / FILE, json.dumps(list(names)[-MOST:], indent=1).encode())


def title(name: str, depth: int = 1) -> str:
    """Return how a model is called, by the name of its folder: "mine" for
    "path:/home/me/models/mine", "mine + adapter", "mine (extra tensors left out)".

    Args:
        name: in the lists.
        depth: folders that are named, the last ones of a path.
    """
    extra = name.startswith("extra:")
    parts = [each.strip() for each in name.removeprefix("extra:").split("+")]
    short = [_name_folder(each, depth) if each.startswith("path:") else each for each in parts]
    return " + ".join(short) + (" (extra tensors left out)" if extra else "")


def _name_folder(name: str, depth: int) -> str:
    parts = Path(name.removeprefix("path:")).parts[-depth:]
    return str(Path(*parts)) if parts else name


def models() -> dict[str, Row]:
    """Name -> what is known about each model that is not shipped; those that cannot be read any
    more are left out.
    """
    if backend.read_only():
        return {}
    asked = [
        *(st.query_params.get(name, "") for name in NAMING),
        *st.query_params.get_all("models"),
        *current.read(),
    ]
    typed = [
        name
        for name in asked
        if name.partition(":")[0] in ("hf", "timm", "path", "extra") or "+" in name
    ]
    added = [*remembered(), *st.session_state.get(NAME, [])]
    wanted = kept() | {name: name for name in [*added, *typed]}
    found = {}
    for name, reference in wanted.items():
        try:
            found[name] = {**row_of(reference), "name": name}
        except LmcError:
            continue
    return found


def row_of(reference: str) -> Row:
    """What is known about a model by its reference, as a row of the catalogue.

    Raises:
        BadInput: (or another of its kinds) with the reason, when it cannot be used.
    """
    found = parse(reference, zoo())
    if found.allow_pickle:
        raise BadInput(
            "Pickled weights (.bin, .pt) are not opened here; convert them with `lmc`, or give "
            "safetensors."
        )
    for each in (found.base, *found.adapters):
        _require_here(each, each in found.adapters)
    return read_row(reference)


def _require_here(found: Reference, adapter: bool) -> None:
    """Refuse a folder that the app may not read, and what would have to be fetched."""
    if found.kind == "zoo":
        return
    if found.kind == "path":
        if folders.allowed(found.name):
            return
        raise BadInput(
            "A folder is expected among those that the app may read: where it was started, or "
            "what LMC_ROOTS names. "
            "This one is elsewhere; copy it there, or start the app with LMC_ROOTS."
        )
    if not elsewhere.call(IN_CACHE, found, adapter):
        raise BadInput(
            f"{found} is not in the local cache, and the page fetches nothing; run `lmc show "
            f"{found}` once, then add it."
        )
