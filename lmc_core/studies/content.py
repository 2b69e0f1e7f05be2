"""The files of one result from elsewhere: JSON that is what it says, arrays without objects, a key
that fits its request.
"""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from lmc_core.errors import BadInput, LmcError
from lmc_core.figures.panel import panels
from lmc_core.figures.redact import has_places
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.result import Result
from lmc_core.studies.archive import Limits
from lmc_core.studies.index import make_row

ARRAYS = 200  # of one result, at the most
HEADER = 10_000  # bytes of an array's description, at the most


def parsed(data: bytes, name: str) -> Any:
    """Return JSON values.

    Raises:
        BadInput: it is not JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{name} in the archive is not JSON; it was not exported here, or is damaged."
        ) from error


def check_result(folder: Path, key: str, written: str, limits: Limits) -> None:
    """Check that a folder is a result that this version can show.

    Args:
        folder: with the files of a result.
        key: that it should have.
        written: time of writing.
        limits: of sizes.

    Raises:
        BadInput: with what is wrong.
    """
    request = parsed((folder / "request.json").read_bytes(), "request.json")
    result = parsed((folder / "result.json").read_bytes(), "result.json")
    if not isinstance(request, dict) or not isinstance(result, dict):
        raise BadInput(f"The result {key[:12]} in the archive is not made of named values.")
    try:
        (folder / "log.txt").read_bytes().decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"log.txt of the result {key[:12]} in the archive is not text.") from error
    _check_key(request, result, key)
    if has_places([request, result]):
        raise BadInput(
            f"The result {key[:12]} in the archive names a path of another machine; it was not "
            "exported here."
        )
    check_arrays(folder / "arrays.npz", key, limits)
    _check_shown(Result(key, request, result, folder, written), key)


def _check_key(content: dict[str, Any], result: dict[str, Any], key: str) -> None:
    """The key must be the hash of the request: a result cannot pass for the answer to another
    question.
    """
    try:
        request = request_from_json(content)
        named, names = request.key, request.model_names
    except LmcError as error:
        raise BadInput(
            f"The result {key[:12]} in the archive is of a kind that this version does not know; "
            "update it."
        ) from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"The request of the result {key[:12]} in the archive is not one that this version "
            "makes."
        ) from error
    if named != key or result.get("key", key) != key:
        raise BadInput(
            f"The result {key[:12]} in the archive answers another request than its key says."
        )
    # an ancestor is asked for, and is none of those merged
    models = result.get("models", [])
    if not isinstance(models, list) or not all(model in names for model in models):
        raise BadInput(f"The result {key[:12]} in the archive names other models than its request.")


def check_arrays(path: Path, key: str, limits: Limits) -> None:
    """Check an npz by the descriptions of its arrays, before any of them takes memory.

    Raises:
        BadInput: it holds objects, which could run code, or is not what it says.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
            names = [member.filename for member in members]
            if (
                len(names) > ARRAYS
                or len(set(names)) != len(names)
                or not all(name.endswith(".npy") for name in names)
            ):
                raise BadInput(
                    f"The arrays of the result {key[:12]} in the archive are not named as arrays "
                    "are."
                )
            if sum(member.file_size for member in members) > limits.sizes["arrays.npz"]:
                raise BadInput(
                    f"The arrays of the result {key[:12]} in the archive unpack to more than is "
                    "taken."
                )
            for member in members:
                with packed.open(member) as file:
                    _check_array(file, member.file_size, key)
    except (
        zipfile.BadZipFile,
        ValueError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        raise BadInput(
            f"The arrays of the result {key[:12]} in the archive cannot be read."
        ) from error


def _check_array(file: IO[bytes], size: int, key: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError("unknown version")
        shape, _, dtype = read(file, max_header_size=HEADER)
    if dtype.hasobject or dtype.kind not in "biufcSU":
        raise BadInput(
            f"An array of the result {key[:12]} in the archive holds objects, which could run "
            "code when read."
        )
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise BadInput(
            f"An array of the result {key[:12]} in the archive is larger or smaller than it says."
        )


def _check_shown(found: Result, key: str) -> None:
    """Draw it: what would break a page later is refused now."""
    try:
        make_row(found)
        for panel in panels([found], strict=True):
            panel.summary.html()
    except Exception as error:  # whatever a page could stumble over
        raise BadInput(
            f"The numbers of the result {key[:12]} in the archive cannot be shown."
        ) from error
