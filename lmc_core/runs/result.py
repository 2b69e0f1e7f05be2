"""One result: what it holds, and how it lies in a folder.

    <key>/request.json     what was asked for
          result.json      the numbers
          arrays.npz       the larger arrays
          log.txt          what the computation said
          manifest.json    key, time of writing, SHA-256 of each file; by which formulas the numbers
                           follow from the arrays (`computation.SUMMARY`), and whether the result
                           came out of an archive
          asked.json       names under which it was asked for last, where these are other ones; no
                           part of the result

Nothing here writes; `store.py` does.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from lmc_core.errors import StoreError

FILES = ("request.json", "result.json", "arrays.npz", "log.txt")
ASKED = "asked.json"
IMPORTED = "imported"  # entry of a manifest, and of what is read
NAMES = ("models", "names", "task")  # entries of a request, none of which decides a number


@dataclass(frozen=True)
class Result:
    """A stored result.

    Attributes:
        key: of its request.
        request: the request as JSON values.
        result: the numbers; ``cached`` says whether they were read rather than just computed, and
            where ``imported`` is true, somebody else says that they were computed.
        folder: where it lies.
        written: time of writing, ISO 8601 in UTC.
        shipped: whether it came with the app.
        imported: whether it came out of an archive.
        summary: version of the formulas by which its numbers follow from its arrays; 0 for unknown
            ones.
    """

    key: str
    request: dict[str, Any] = field(repr=False)
    result: dict[str, Any] = field(repr=False)
    folder: Path
    written: str
    shipped: bool = False
    imported: bool = False
    summary: int = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """Read the arrays.

        Raises:
            StoreError: the result was deleted or damaged meanwhile.
        """
        try:
            with np.load(self.folder / "arrays.npz", allow_pickle=False) as content:
                return {name: content[name] for name in content.files}
        except (
            Exception
        ) as error:  # zipfile, zlib, ValueError, OSError: all mean the same to a person
            raise StoreError(
                f"The arrays of the result in {self.folder} cannot be read; run it again."
            ) from error

    def log(self) -> str:
        """Read what the computation said; empty when that is gone."""
        try:
            return (self.folder / "log.txt").read_text(encoding="utf-8")
        except OSError:
            return ""


class Damaged(Exception):
    """A folder whose content is not what was written."""


class Foreign(Exception):
    """A whole folder whose files are not laid out as this version lays them out; a newer one
    may.
    """


def is_key(key: str) -> bool:
    """Whether a text can be the name of a result; keeps paths out, because keys also come from
    addresses.
    """
    return re.fullmatch(r"[0-9a-f]{8,64}", key) is not None


def read(folder: Path, shipped: bool, check: bool, key: str = "") -> Result | None:
    """Read a folder; None when it does not exist, Damaged when it is not what was written, Foreign
    when this version cannot.
    """
    if not folder.is_dir():
        return None
    key = key or folder.name
    names = FILES if check else ("request.json", "result.json")
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        written, recorded = manifest["written"], manifest["files"]
        if manifest["key"] != key:
            raise Damaged("its manifest names another key")
        data = {name: (folder / name).read_bytes() for name in names}
        for name in names if check else ():
            if digest(data[name]) != recorded[name]:
                raise Damaged(f"{name} is not what was written")
        request, result = json.loads(data["request.json"]), json.loads(data["result.json"])
        _require_known(request, result)
        imported = manifest.get("imported") is True
        content = {
            **{name: value for name, value in result.items() if name != IMPORTED},
            "cached": True,
        }
        if imported:
            content[IMPORTED] = True
        return Result(
            key, request, content, folder, str(written), shipped, imported, _version(manifest)
        )
    except FileNotFoundError as error:
        if not folder.is_dir():  # deleted while it was read
            return None
        raise Damaged(f"{Path(error.filename).name} is missing") from error
    except OSError as error:
        raise StoreError(
            f"The result in {folder} cannot be read ({error.strerror or error}); check the "
            "permissions of that folder."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("a file is not readable JSON, or incomplete") from error


def _require_known(request: object, result: object) -> None:
    """Raise `Foreign` unless both are named values, and the models, which every list shows, are a
    list of texts.
    """
    models = result.get("models", []) if isinstance(result, dict) else None
    named = isinstance(models, list) and all(isinstance(name, str) for name in models)
    if not (named and isinstance(request, dict)):
        raise Foreign


def _version(manifest: Mapping[str, object]) -> int:
    found = manifest.get("summary")
    return found if isinstance(found, int) else 0


def encode(
    request: Mapping[str, object],
    result: Mapping[str, object],
    arrays: Mapping[str, np.ndarray],
    log: str,
) -> dict[str, bytes]:
    """Return the content of every file but the manifest.

    Raises:
        TypeError: something is neither a plain value nor of numpy.
    """
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in plain.items():
        if array.dtype.hasobject:
            raise TypeError(f"array {name!r} holds objects")
    packed = io.BytesIO()
    np.savez_compressed(packed, **plain)  # type: ignore[arg-type]  (arrays by name)
    return {
        "request.json": to_bytes(request),
        "result.json": to_bytes(dict(result)),
        "arrays.npz": packed.getvalue(),
        "log.txt": log.encode(),
    }


def to_bytes(content: object) -> bytes:
    """Return JSON text; scalars and arrays of numpy become numbers and lists."""

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        raise TypeError(f"{type(value).__name__} is not a JSON value")

    return (json.dumps(content, indent=1, default=plain) + "\n").encode()


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_names(request: Mapping[str, object]) -> dict[str, Any] | None:
    """The names in a request as JSON values, `NAMES`; None for a kind that names nothing, or where
    they are not lists of texts.
    """
    models, names, task = (request.get(name) for name in NAMES)
    if not (
        isinstance(models, list)
        and isinstance(names, list)
        and isinstance(task, str)
        and len(models) == len(names)
    ):
        return None
    texts = all(isinstance(text, str) for text in (*models, *names))
    return {"models": models, "names": names, "task": task} if texts else None


def rename_data(content: Mapping[str, Any], before: str, now: str) -> dict[str, Any]:
    """Numbers with another name of a person's own data: of the task, of the sentence about it, of
    numbers measured on it.

    Args:
        content: the numbers.
        before: reference of the data that they were computed with.
        now: its reference now.
    """
    old, new = str(content.get("task")), _task_name(now)
    pairs = [(_place(before), _place(now)), (_last(_place(before)), _last(_place(now)))]

    def about(text: object) -> object:
        for place, instead in pairs:
            if isinstance(text, str) and text.startswith(f"{place}, "):
                return instead + text[len(place) :]
        return text

    def row(each: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            **each,
            "measured": {
                new if name == old else name: value for name, value in each["measured"].items()
            },
        }

    found = {**content, "task": new, "about": about(content.get("about"))}
    if isinstance(content.get("tasks"), list):
        found["tasks"] = [
            {**task, "name": new, "about": about(task.get("about"))}
            if task.get("name") == old
            else task
            for task in content["tasks"]
        ]
        found |= {
            name: [row(each) for each in content[name]]
            for name in ("models_rows", "rows")
            if content.get(name)
        }
    return found


def _task_name(reference: str) -> str:
    """What people read for ``text:/home/me/letters.txt``: the last name of the path."""
    kind, _, place = reference.partition(":")
    return f"{kind}:{_last(place)}"


def _place(reference: str) -> str:
    """The place that a reference to data names, without the split of a data set."""
    kind, _, place = reference.partition(":")
    return place.partition(":")[0] if kind == "hf-dataset" and not PurePath(place).drive else place


def _last(place: str) -> str:
    return PurePath(place).name if PurePath(place).is_absolute() else place
