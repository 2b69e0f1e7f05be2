"""Models of the Hugging Face hub and of timm: the local cache first, then, where there is a
connection, a download into it.

The cache has the hub's own format (`models--ORG--NAME` with `refs`, `snapshots` and `blobs`), so
what `hf download` or `from_pretrained` fetched is found, and what is fetched here is found by them.
Only data is fetched: configuration, weights and tokenizer; code that a repository may hold is
neither fetched nor run.
"""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lmc_core.errors import BadCheckpoint, BadInput, UnknownName
from lmc_core.models.config import Config
from lmc_core.models.files.folders import (
    ADAPTER_WEIGHTS,
    INDEX,
    INDEX_BYTES,
    PICKLE_INDEX,
    PICKLE_SINGLE,
    SINGLE,
    find_weights,
)
from lmc_core.models.files.json_files import ADAPTER, read_json
from lmc_core.models.files.references import Reference, clip, unknown

CONFIG, MAIN = "config.json", "main"
ADAPTER_FILES = (ADAPTER_WEIGHTS, "adapter_model.bin")
PATIENCE = 0.6  # seconds that finding out whether there is a connection may take
COMPANIONS = tuple(
    (
        "tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json vocab.json "
        "merges.txt vocab.txt tokenizer.model spiece.model preprocessor_config.json "
        "generation_config.json card.json"
    ).split()
)
YES = {"1", "ON", "YES", "TRUE"}
Accept = Callable[[Config], object]


def folder_in_cache(reference: Reference, accept: Accept = lambda config: None) -> Path:
    """Return the snapshot of a ``hf`` or ``timm`` reference in the local cache, fetched if it was
    not there.

    Args:
        reference: what is wanted.
        accept: called with the configuration before the weights are fetched; raises for a model
            that cannot be used.

    Raises:
        UnknownName: if the hub or timm has no such model.
        BadInput: without a connection, within a second, if the cache lacks the model.
        BadCheckpoint: if the repository holds no weights that may be read.
    """
    repository = _repository(reference)
    snapshot = _snapshot(repository, reference.revision)
    missing = None
    if snapshot is not None:
        try:
            find_weights(snapshot, reference.allow_pickle)
            return snapshot
        except BadCheckpoint as error:
            missing = error
    reason = no_connection()
    if reason is None:
        return _fetch(reference, repository, accept)
    if missing is not None and "--allow-pickle" in str(missing):
        raise missing
    raise _not_there(reference, repository, reason)


def adapter_in_cache(reference: Reference) -> Path:
    """Return the snapshot of an adapter in the local cache, fetched if it was not there; see
    `folder_in_cache`.
    """
    repository = _repository(reference)
    snapshot = _snapshot(repository, reference.revision, ADAPTER)
    if snapshot is not None and any((snapshot / name).is_file() for name in ADAPTER_FILES):
        return snapshot
    reason = no_connection()
    if reason is None:
        return _fetch(reference, repository, lambda config: None, ADAPTER)
    raise _not_there(reference, repository, reason)


def _not_there(reference: Reference, repository: str, reason: str) -> BadInput:
    """The error for what the cache lacks while there is no connection."""
    commits = _snapshots(repository)
    if reference.revision is None and len(commits) > 1:
        return BadInput(
            f"The local cache holds {len(commits)} snapshots of {repository} and does not say "
            "which is its newest, and "
            f"{reason}: name one, such as {replace(reference, revision=commits[0].name)}."
        )
    command = f"hf download {repository}" + (
        f" --revision {reference.revision}" if reference.revision else ""
    )
    return BadInput(
        f"{reference} is not in the local cache {str(cache())!r}, and {reason}: run `{command}` "
        "where there is a connection "
        "and copy that cache here, or give a folder."
    )


def in_cache(reference: Reference, adapter: bool = False) -> bool:
    """Whether a ``hf`` or ``timm`` reference can be read from the local cache, without asking
    anybody.

    Args:
        reference: of a model, or of an adapter.
        adapter: whether it is one.
    """
    snapshot = _snapshot(_repository(reference), reference.revision, ADAPTER if adapter else CONFIG)
    if snapshot is None:
        return False
    if adapter:
        return (snapshot / ADAPTER_WEIGHTS).is_file()
    try:
        find_weights(snapshot, reference.allow_pickle)
    except BadCheckpoint:
        return False
    return True


def cache_notes(reference: Reference) -> tuple[str, ...]:
    """What a person should know of where a model lies in the local cache, as sentences."""
    repository = _repository(reference)
    top = _top(repository)
    if (
        reference.revision is not None
        or (top / "refs" / MAIN).is_file()
        or len(_snapshots(repository)) != 1
    ):
        return ()
    return (
        f"The local cache does not say which revision of {repository} is its newest; its only one "
        "was read.",
    )


def _repository(reference: Reference) -> str:
    return timm_repository(reference.name) if reference.kind == "timm" else reference.name


def cache() -> Path:
    """The hub's local cache, from the hub's own environment variables."""
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if not chosen:
        above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        chosen = os.path.join(
            os.environ.get("HF_HOME") or os.path.join(above, "huggingface"), "hub"
        )
    return Path(os.path.expandvars(os.path.expanduser(chosen)))


def timm_repository(name: str) -> str:
    """The hub's repository of timm's weights ``NAME[.TAG]``; without a tag, that of timm's default.

    Raises:
        UnknownName: if timm has no such weights.
    """
    import timm
    from timm.models import get_pretrained_cfg

    try:
        found = get_pretrained_cfg(name)
    except RuntimeError:  # a known architecture, an unknown tag
        found = None
    if found is None or not found.hf_hub_id:
        raise unknown("pretrained timm model", name, timm.list_pretrained())
    return str(found.hf_hub_id)


def no_connection() -> str | None:
    """Why the hub cannot be reached, in words, or None; takes at most `PATIENCE` seconds."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in YES:
            return f"{name} forbids fetching it"
    try:
        address = _address(endpoint())
    except ValueError:
        return f"{clip(endpoint())} is no address of a hub"
    reached = threading.Event()

    def knock() -> None:
        try:
            socket.create_connection(address, timeout=PATIENCE).close()
            reached.set()
        except OSError:
            pass

    # in a thread, because looking up a name can take longer than any timeout of the connection
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return None if reached.is_set() else f"{address[0]} cannot be reached"


def _address(text: str) -> tuple[str, int]:
    """Host and port that a connection to an address is made to: its own, or those of the proxy
    before it.
    """
    url = urlsplit(text)
    proxy = urllib.request.getproxies().get(url.scheme)
    if proxy and not urllib.request.proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def endpoint() -> str:
    """Address of the hub."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _top(repository: str) -> Path:
    return cache() / f"models--{repository.replace('/', '--')}"


def _snapshots(repository: str, file: str = CONFIG) -> list[Path]:
    """The snapshots of a repository that hold a file, by name."""
    try:
        return sorted(
            path.parent
            for path in (_top(repository) / "snapshots").glob(f"*/{file}")
            if path.is_file()
        )
    except OSError:
        return []


def _snapshot(repository: str, revision: str | None, file: str = CONFIG) -> Path | None:
    """The snapshot of a revision that holds a file; one copied by hand may have no refs, or such
    with a newline.
    """
    top = _top(repository)
    try:
        ref = top / "refs" / (revision or MAIN)
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
        if commit is not None:
            found = top / "snapshots" / commit
            return found if found.parent == top / "snapshots" and (found / file).is_file() else None
    except (OSError, ValueError):  # a damaged cache
        return None
    alone = _snapshots(repository, file)
    return alone[0] if len(alone) == 1 else None


def _fetch(reference: Reference, repository: str, accept: Accept, first: str = CONFIG) -> Path:
    from huggingface_hub import HfApi, errors, hf_hub_download
    from tqdm import tqdm

    class Bar(tqdm):
        """A bar on a terminal, nothing elsewhere."""

        def __init__(self, *args: Any, **kwargs: Any):
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs | {"disable": None})

    def get(name: str, revision: str | None) -> Path:
        options = {"cache_dir": cache(), "endpoint": endpoint(), "tqdm_class": Bar}
        return Path(hf_hub_download(repository, name, revision=revision, **options))

    try:
        config = get(first, reference.revision)
        accept(read_json(config))
        commit = config.parent.name
        names = HfApi(endpoint=endpoint()).list_repo_files(repository, revision=commit)
        for name in COMPANIONS:
            if name in names:
                get(name, commit)
        wanted = [name for name in ADAPTER_FILES[: 1 + reference.allow_pickle] if name in names]
        for name in (
            wanted
            if first == ADAPTER
            else _weights(reference, names, lambda name: get(name, commit))
        ):
            get(name, commit)
        return config.parent
    except errors.GatedRepoError as error:
        raise BadInput(
            f"{reference} asks for consent: accept its terms on the hub, then run `hf auth login`."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UnknownName(
            f"{repository!r} has no branch, tag or commit {reference.revision!r}; leave @ out."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UnknownName(
            f"The hub has no repository {repository!r}, or keeps it private: check the spelling, "
            "or run `hf auth login`."
        ) from error
    except errors.EntryNotFoundError as error:
        what = "adapter" if first == ADAPTER else "model"
        raise BadCheckpoint(
            f"{reference} has no {first}, so it is no {what} that can be loaded."
        ) from error
    except BadInput:
        raise
    except Exception as error:  # whatever a connection can come to
        raise BadInput(
            f"{reference} could not be fetched ({type(error).__name__}); try again, or run `hf "
            f"download {repository}`."
        ) from error


def _weights(reference: Reference, names: list[str], get: Callable[[str], Path]) -> list[str]:
    """Names of the files that hold the weights, out of those of a repository."""
    for single, index in ((SINGLE, INDEX), (PICKLE_SINGLE, PICKLE_INDEX)):
        if single == PICKLE_SINGLE and not reference.allow_pickle:
            continue
        if single in names:
            return [single]
        if index in names:
            placed = read_json(get(index), INDEX_BYTES).get("weight_map")
            shards = (
                sorted({str(file) for file in placed.values()}) if isinstance(placed, dict) else []
            )
            return [shard for shard in shards if shard in names]
    others = [name for name in names if name in (PICKLE_SINGLE, PICKLE_INDEX)]
    hint = f"; it has {others[0]}, which is read only with --allow-pickle" if others else ""
    raise BadCheckpoint(f"{reference} has no {SINGLE}{hint}.")
